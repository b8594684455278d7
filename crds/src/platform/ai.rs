use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{rules, secret::SecretValue};

/// Access to a language model. It is passed on to the backend, whose chat does not use it in this version.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AiSpec {
    /// Key of the API.
    pub api_key: SecretValue,
    /// Base URL of an API that speaks as OpenAI's does; OpenAI's own if absent.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::http_url("https://llm.example.com/v1"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Name of the model; the backend's choice if absent.
    #[schemars(length(min = 1, max = 128))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}
