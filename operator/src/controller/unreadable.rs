//! A platform that perhaps cannot be read, as one of a later release with another schema may be. One of them must not keep
//! all others from being listed.

use std::borrow::Cow;

use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;
use todo_crds::platform::{TodoPlatform, TodoPlatformStatus};

/// A platform, or what is left of one that cannot be read.
#[derive(Clone, Debug)]
pub struct Guarded(pub Result<TodoPlatform, Box<Unreadable>>);

/// What is left of a platform that cannot be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// Why it cannot be read.
    pub error: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// What was said of it before, so that it is not said again.
    pub status: TodoPlatformStatus,
}

impl<'de> Deserialize<'de> for Guarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        let error = match TodoPlatform::deserialize(&object) {
            Ok(platform) => return Ok(Self(Ok(platform))),
            Err(error) => error.to_string(),
        };
        let mut part = |name: &str| object.get_mut(name).map(Value::take).unwrap_or_default();
        let metadata = ObjectMeta::deserialize(part("metadata")).map_err(D::Error::custom)?;
        let status = TodoPlatformStatus::deserialize(part("status")).unwrap_or_default();
        Ok(Self(Err(Box::new(Unreadable { error, metadata, status }))))
    }
}

impl Resource for Guarded {
    type DynamicType = <TodoPlatform as Resource>::DynamicType;
    type Scope = <TodoPlatform as Resource>::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        TodoPlatform::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        TodoPlatform::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        TodoPlatform::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        TodoPlatform::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, Resource::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, Resource::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spec: &Value, status: &Value) -> Guarded {
        let object = json!({
            "apiVersion": "todoplatform.dev/v1alpha1", "kind": "TodoPlatform",
            "metadata": {"name": "todo", "generation": 2}, "spec": spec, "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn of_a_platform_that_cannot_be_read_metadata_and_status_are_left_as_far_as_they_can_be() {
        let status = json!({"url": "http://todo"});
        assert!(read(&json!({}), &status).0.is_ok());
        for (spec, status, url) in [
            (json!({"services": "all of them"}), &status, Some("http://todo")),
            (json!({"services": "all of them"}), &Value::Null, None),
            (json!({}), &json!({"url": ["later"]}), None),
        ] {
            let guarded = read(&spec, status);
            assert_eq!(guarded.meta().generation, Some(2));
            let left = guarded.0.unwrap_err();
            assert_eq!(left.status.url.as_deref(), url);
            assert!(left.error.contains("invalid type"), "{}", left.error);
        }
    }
}
