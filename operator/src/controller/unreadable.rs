//! Platforms as their watch brings them, of which some perhaps cannot be read, as those of a later release with another schema.
//! One of them must not keep all others from being listed.

use std::borrow::Cow;

use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};
use todo_crds::platform::{TodoPlatform, TodoPlatformSpec, TodoPlatformStatus};

/// A platform that is read by each pass anew. Until then it is JSON, which takes a third of the memory.
#[derive(Clone, Debug)]
pub struct Guarded {
    metadata: ObjectMeta,
    /// Its spec and status.
    json: Box<[u8]>,
}

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

/// What a platform has besides its metadata.
#[derive(Deserialize)]
struct Body {
    spec: TodoPlatformSpec,
    status: Option<TodoPlatformStatus>,
}

impl Guarded {
    /// The platform, or what is left of it.
    pub fn read(&self) -> Result<TodoPlatform, Box<Unreadable>> {
        let metadata = self.metadata.clone();
        let object: Value = serde_json::from_slice(&self.json).expect("it was JSON before");
        // Not from the text itself: errors would name a place in a text that nobody sees.
        match Body::deserialize(&object) {
            Ok(Body { spec, status }) => Ok(TodoPlatform { metadata, spec, status }),
            Err(error) => {
                let status = TodoPlatformStatus::deserialize(&object["status"]).unwrap_or_default();
                Err(Box::new(Unreadable { error: error.to_string(), metadata, status }))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Guarded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Map::deserialize(deserializer)?;
        let metadata = object.remove("metadata").unwrap_or_default();
        object.retain(|name, _| matches!(name.as_str(), "spec" | "status"));
        let json = serde_json::to_vec(&object).map_err(D::Error::custom)?;
        Ok(Self { metadata: ObjectMeta::deserialize(metadata).map_err(D::Error::custom)?, json: json.into() })
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
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
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
        let readable = read(&json!({}), &status).read().unwrap();
        assert_eq!(
            (readable.metadata.generation, readable.status.unwrap().url.as_deref()),
            (Some(2), Some("http://todo"))
        );
        for (spec, status, url) in [
            (json!({"services": "all of them"}), &status, Some("http://todo")),
            (json!({"services": "all of them"}), &Value::Null, None),
            (json!({}), &json!({"url": ["later"]}), None),
        ] {
            let guarded = read(&spec, status);
            assert_eq!(guarded.meta().generation, Some(2));
            let left = guarded.read().unwrap_err();
            assert_eq!(left.status.url.as_deref(), url);
            assert!(left.error.contains("invalid type"), "{}", left.error);
        }
    }
}
