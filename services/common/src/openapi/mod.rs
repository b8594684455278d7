//! The OpenAPI document of a service, made from its handlers, and a page to read it by. What is common to all operations is
//! added here: who asks, and what an answer looks like that says what is wrong.

mod page;

use std::sync::{Arc, OnceLock};

use axum::{
    Router,
    body::Bytes,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, Info, License, OpenApi, Ref, RefOr, Response, ResponseBuilder,
        path::{Operation, Parameter},
        security::{ApiKey, ApiKeyValue, SecurityRequirement, SecurityScheme},
        server::Server,
    },
};

use crate::{auth::USER_HEADER, idempotency, problem};

const PROBLEM: &str = "application/problem+json";
/// Names of the two ways to say who asks.
const BY_HEADER: &str = "user_in_header";
const BY_QUERY: &str = "user_in_query";
/// What can happen to every request, on its way through the page included.
const ALWAYS: [(u16, &str); 8] = [
    (400, "The request cannot be read"),
    (403, "The body, the query and the header name different users"),
    (421, "The page has another name than the one it was called by"),
    (422, "The request has wrong values; `errors` names each field"),
    (500, "The service made a mistake"),
    (502, "The page got no whole answer from the service, which may have done what was asked"),
    (503, "Something that is needed is away; try again"),
    (504, "It took too long"),
];
/// What can happen besides to a request with a body.
const WITH_BODY: [(u16, &str); 3] = [
    (408, "The body did not come in time"),
    (413, "The body is larger than 1 MiB"),
    (415, "The body has another media type"),
];

/// What can happen besides to a request with an idempotency key.
const WITH_KEY: [(u16, &str); 2] =
    [(409, "A request with this idempotency key is under way"), (429, "The user has too many idempotency keys")];

/// A document and its page.
pub struct Document {
    title: &'static str,
    description: &'static str,
    api: fn() -> OpenApi,
    texts: OnceLock<Texts>,
}

#[derive(Clone)]
struct Texts {
    json: Bytes,
    page: Bytes,
}

impl Document {
    /// Of what handlers say of themselves. It is made when somebody first asks for it: few replicas ever are, and what it is
    /// made from takes 2 MB, of which an allocator gives little back.
    pub fn new(title: &'static str, description: &'static str, api: fn() -> OpenApi) -> Self {
        Self { title, description, api, texts: OnceLock::new() }
    }

    /// `openapi.json` and `docs` below each of these prefixes.
    pub fn routes<S: Clone + Send + Sync + 'static>(self, prefixes: &[&str]) -> Router<S> {
        let document = Arc::new(self);
        prefixes.iter().fold(Router::new(), |router, prefix| {
            let (json, page) = (Arc::clone(&document), Arc::clone(&document));
            let (json, page) = (move || json.texts().json, move || page.texts().page);
            router
                .route(&format!("{prefix}/openapi.json"), get(async move || shown("application/json", json())))
                .route(&format!("{prefix}/docs"), get(async move || shown("text/html; charset=utf-8", page())))
                .route(
                    &format!("{prefix}/docs.css"),
                    get(async || shown("text/css; charset=utf-8", Bytes::from_static(page::STYLE.as_bytes()))),
                )
        })
    }

    fn texts(&self) -> Texts {
        let make = || {
            let api = complete((self.api)(), self.title, self.description);
            let value = serde_json::to_value(&api).expect("names are strings, and nothing else can fail");
            Texts { json: value.to_string().into(), page: page::render(&value).into() }
        };
        self.texts.get_or_init(make).clone()
    }
}

/// Adds what handlers do not say of themselves.
fn complete(mut api: OpenApi, title: &str, description: &str) -> OpenApi {
    let mut info = Info::new(title, env!("CARGO_PKG_VERSION"));
    info.description = Some(description.to_owned());
    info.license = Some(License::new("MIT OR Apache-2.0"));
    api.info = info;
    api.servers = Some(vec![Server::new("/")]);
    api.security = Some([BY_HEADER, BY_QUERY].map(|name| SecurityRequirement::new(name, [""; 0])).to_vec());
    declare_common(api.components.get_or_insert_with(Components::new));
    for item in api.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        methods.into_iter().flatten().for_each(declare_problems);
    }
    api
}

fn shown(content_type: &'static str, content: Bytes) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], content)
}

fn declare_common(components: &mut Components) {
    let user = |description: &str, key: fn(ApiKeyValue) -> ApiKey, name: &str| {
        SecurityScheme::ApiKey(key(ApiKeyValue::with_description(name, description)))
    };
    let words = "The user. It is believed while `auth.mode` is `disabled`.";
    components.add_security_scheme(BY_HEADER, user(words, ApiKey::Header, USER_HEADER));
    components.add_security_scheme(BY_QUERY, user(words, ApiKey::Query, "user_id"));
    let mut parts = vec![(problem::Details::name().into_owned(), problem::Details::schema())];
    problem::Details::schemas(&mut parts);
    components.schemas.extend(parts);
}

/// Adds what can happen always, and gives every error its form.
fn declare_problems(operation: &mut Operation) {
    let with_body: &[_] = if operation.request_body.is_some() { &WITH_BODY } else { &[] };
    let is_key = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(one) if one.name == idempotency::HEADER);
    let has_key = operation.parameters.iter().flatten().any(is_key);
    let with_key: &[_] = if has_key { &WITH_KEY } else { &[] };
    let answers = &mut operation.responses.responses;
    for (status, description) in ALWAYS.iter().chain(with_body).chain(with_key) {
        answers.entry(status.to_string()).or_insert_with(|| RefOr::T(Response::new(*description)));
    }
    for (status, answer) in answers.iter_mut() {
        if let RefOr::T(answer) = answer
            && status.starts_with(['4', '5'])
        {
            let form = Content::new(Some(Ref::from_schema_name(problem::Details::name())));
            *answer = ResponseBuilder::from(answer.clone()).content(PROBLEM, form).build();
        }
    }
}
