//! The calls that write, each with a deadline and only while this process leads.

use std::{future::Future, time::Duration};

use axum::http::{HeaderValue, header::ACCEPT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta, Request, Status},
};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Lanes;
use crate::{
    class::{Class, words},
    labels::MANAGED_BY,
    plan::{
        desired_hash_annotation,
        ownership::{self, is_of_scale, is_own_merge},
    },
    runtime::lease::Leadership,
};

/// How long one write may take, the client's own retries included.
const DEADLINE: Duration = Duration::from_secs(15);

/// What a write wants for an answer. A refusal is no metadata: with nothing else to choose, an API server sends it without
/// a word about it in its audit log. Go's metadata client asks for the same.
const METADATA: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");

/// A resource version that no object ever has: the database counts writes from 2 on.
pub const OF_NOTHING: &str = "1";

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The API server refused it, or could not be reached.
    #[error("{}", words(.0))]
    Api(#[from] kube::Error),
    /// There was no answer in time. The write may have happened.
    #[error("no answer in time")]
    Deadline,
    /// This process does not lead any more.
    #[error("another replica leads")]
    NotLeading,
}

impl WriteError {
    /// Kind of the failure.
    pub fn class(&self) -> Class {
        match self {
            Self::Api(error) => Class::of(error),
            Self::Deadline | Self::NotLeading => Class::Transient,
        }
    }

    /// The answer, if the API server gave one.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Api(kube::Error::Api(status)) => Some(status),
            _ => None,
        }
    }
}

/// Writes to one namespace.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    namespace: String,
    leadership: Leadership,
    lanes: Lanes,
}

impl Writer {
    /// A writer that works while `leadership` holds.
    pub fn new(client: Client, namespace: &str, leadership: Leadership, lanes: Lanes) -> Self {
        Self { client, namespace: namespace.to_owned(), leadership, lanes }
    }

    /// Where writes are done side by side.
    pub const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Reads one object.
    pub async fn get(&self, resource: &ApiResource, name: &str) -> Result<Option<DynamicObject>, WriteError> {
        within(DEADLINE, self.api(resource).get_opt(name)).await
    }

    /// Server-side apply. With the UID in it, `body` is applied to exactly that object or not at all. Returns the
    /// resource version that the object has now.
    pub async fn apply(
        &self,
        resource: &ApiResource,
        body: &DynamicObject,
        force: bool,
    ) -> Result<Option<String>, WriteError> {
        let params = PatchParams { force, ..PatchParams::apply(MANAGED_BY) };
        let name = body.metadata.name.as_deref().unwrap_or_default();
        let after = self.patch(resource, name, &params, &Patch::Apply(body)).await?;
        Ok(after.resource_version)
    }

    /// Server-side apply of what is not there. A plain apply would quietly add our fields to what somebody else made; this
    /// one is refused as a conflict if there is anything of the name.
    pub async fn apply_new(
        &self,
        resource: &ApiResource,
        body: &mut DynamicObject,
    ) -> Result<Option<String>, WriteError> {
        body.metadata.resource_version = Some(OF_NOTHING.to_owned());
        let applied = self.apply(resource, body, false).await;
        body.metadata.resource_version = None;
        applied
    }

    /// Sets the number of pods, and leaves it to whoever changes it next, under a field manager of its own.
    pub async fn hand_over(
        &self,
        resource: &ApiResource,
        name: &str,
        uid: &str,
        replicas: i32,
    ) -> Result<(), WriteError> {
        let params = PatchParams::apply(&format!("{MANAGED_BY}-replicas")).force();
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name, "uid": uid},
            "spec": {"replicas": replicas},
        });
        self.leading(self.api(resource).patch(name, &params, &Patch::Apply(patch))).await.map(drop)
    }

    /// Creates an object. Returns whether it was this call that did.
    pub async fn create(&self, resource: &ApiResource, body: &DynamicObject) -> Result<bool, WriteError> {
        let params = PostParams { field_manager: Some(MANAGED_BY.to_owned()), ..PostParams::default() };
        match self.leading(self.api(resource).create(&params, body)).await {
            Ok(_) => Ok(true),
            Err(error) if error.class() == Class::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes some fields of an object.
    pub async fn merge(&self, resource: &ApiResource, name: &str, patch: &Value) -> Result<ObjectMeta, WriteError> {
        let params = PatchParams { field_manager: Some(MANAGED_BY.to_owned()), ..PatchParams::default() };
        self.patch(resource, name, &params, &Patch::Merge(patch)).await
    }

    /// Makes an object that is applied have exactly what `body` has, and claims none of it. If this is cut off, the next
    /// apply is in conflict with the mark that the merge leaves in place of the hash.
    pub async fn overwrite(&self, resource: &ApiResource, body: &DynamicObject) -> Result<(), WriteError> {
        let name = body.metadata.name.as_deref().unwrap_or_default();
        let mut patch = body.data.clone();
        let mark = json!({desired_hash_annotation(): "overwritten"});
        patch["metadata"] = json!({"uid": body.metadata.uid, "annotations": mark});
        let after = self.merge(resource, name, &patch).await?;
        self.give_up(resource, after, is_own_merge).await
    }

    /// Gives up what merges of ours claim of an object beside what is applied, if there were any.
    pub async fn give_up_merges(&self, resource: &ApiResource, name: &str) -> Result<(), WriteError> {
        match self.get(resource, name).await? {
            Some(object) => self.give_up(resource, object.metadata, is_own_merge).await,
            None => Ok(()),
        }
    }

    /// Ends what an autoscaler claims of exactly this object, if it has the number of pods that `body` is to give it. An apply
    /// of another number takes it from whoever claims it; one of the same would only claim it, too, and be in conflict with
    /// an autoscaler that is long gone as soon as it changes.
    pub async fn end_scaling(&self, resource: &ApiResource, body: &DynamicObject, uid: &str) -> Result<(), WriteError> {
        let replicas = |object: &DynamicObject| object.data.pointer("/spec/replicas").cloned();
        match self.get(resource, body.metadata.name.as_deref().unwrap_or_default()).await? {
            Some(present) if present.metadata.uid.as_deref() == Some(uid) && replicas(&present) == replicas(body) => {
                self.give_up(resource, present.metadata, is_of_scale).await
            }
            _ => Ok(()),
        }
    }

    /// Refused as a conflict if somebody has claimed more since.
    async fn give_up(
        &self,
        resource: &ApiResource,
        metadata: ObjectMeta,
        is_given_up: fn(&ManagedFieldsEntry) -> bool,
    ) -> Result<(), WriteError> {
        let Some(claims) = ownership::without(&metadata, is_given_up) else { return Ok(()) };
        let patch = json!({"metadata": {
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
            "managedFields": claims,
        }});
        self.merge(resource, metadata.name.as_deref().unwrap_or_default(), &patch).await.map(drop)
    }

    /// Deletes exactly this object; one that is gone already is as good. Returns whether it is gone now, or only on its way.
    pub async fn delete(&self, resource: &ApiResource, name: &str, uid: &str) -> Result<bool, WriteError> {
        let preconditions = Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        match self.leading(self.api(resource).delete(name, &params)).await {
            Ok(answer) => Ok(answer.is_right()),
            Err(error) if error.class() == Class::Missing => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Returns metadata alone, as nothing else of the answer is looked at.
    async fn patch<P: Serialize>(
        &self,
        resource: &ApiResource,
        name: &str,
        params: &PatchParams,
        patch: &Patch<P>,
    ) -> Result<ObjectMeta, WriteError> {
        let url = DynamicObject::url_path(resource, Some(&self.namespace));
        let call = async {
            let mut request =
                Request::new(url).patch_metadata(name, params, patch).map_err(kube::Error::BuildRequest)?;
            request.headers_mut().insert(ACCEPT, METADATA);
            request.extensions_mut().insert("patch_metadata");
            self.client.request::<PartialObjectMeta<DynamicObject>>(request).await
        };
        Ok(self.leading(call).await?.metadata)
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, resource)
    }

    async fn leading<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
        while_leading(&self.leadership, DEADLINE, call).await
    }
}

/// Does a write that takes at most `limit`, and ends before another replica may begin to write.
pub async fn while_leading<T>(
    leadership: &Leadership,
    limit: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, WriteError> {
    let limit = leadership.time_to_write(limit).ok_or(WriteError::NotLeading)?;
    within(limit, call).await
}

async fn within<T>(limit: Duration, call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
    timeout(limit, call).await.map_err(|_| WriteError::Deadline)?.map_err(WriteError::Api)
}
