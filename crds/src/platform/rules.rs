//! Rules in CEL that more than one field needs. Each has a message that says what to write.
//!
//! Optional fields are asked for by chains of `has()`, not by CEL's optional types: the evaluator that the tests use
//! does not know those.

use kube::core::Rule;

use super::services::ALLOWED_HOSTS;

/// At most one of several fields.
pub(super) fn at_most_one(fields: &[&str]) -> Rule {
    let given: Vec<String> = fields.iter().map(|field| format!("has(self.{field})")).collect();
    Rule::new(format!("[{}].filter(given, given).size() <= 1", given.join(", ")))
        .message(&*format!("write at most one of {}", fields.join(", ")))
}

/// A text that matches a regular expression as a whole.
pub(super) fn text(expression: &str, message: &str) -> Rule {
    rule(&format!("self.matches({})", literal(&format!("^({expression})$"))), message)
}

/// The name of an object. `whose` is for example `a Secret`.
pub(super) fn object_name(whose: &str) -> Rule {
    text(
        "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
        &format!("write the name of {whose}: small letters, digits, - and ."),
    )
}

/// An `http` or `https` URL with a host.
pub(super) fn http_url(example: &str) -> Rule {
    text(r"https?://[^\s/:][^\s]*", &format!("write an http:// or https:// URL, for example {example}"))
}

/// A duration between two others, both as Kubernetes writes them.
pub(super) fn duration(least: &str, most: &str) -> Rule {
    const DURATION: &str = r"'^([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+$'";
    Rule::new(format!(
        "self.matches({DURATION}) && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
    ))
    .message(&*format!("write a duration between {least} and {most}, for example {least}"))
}

/// A schedule that Dapr's cron binding understands, but for a range that ends before it begins: a regular expression does not
/// compare numbers.
pub(super) fn schedule() -> Rule {
    const EVERY: &str = r"@every ([0-9]+(\.[0-9]*)?(ns|us|ms|s|m|h))+";
    let field = |values: &str| {
        let item = format!(r"([*?]|({values})(-({values}))?)(/0*[1-9][0-9]{{0,9}})?");
        format!("{item}(,{item})*")
    };
    let sixty = field("0*[0-5]?[0-9]");
    let hour = field("0*(1?[0-9]|2[0-3])");
    let day = field("0*([1-9]|[12][0-9]|3[01])");
    let month = field("0*([1-9]|1[0-2])|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)");
    let weekday = field("0*[0-6]|(?i:sun|mon|tue|wed|thu|fri|sat)");
    let form = format!(
        "^(@(annually|yearly|monthly|weekly|daily|midnight|hourly)|{EVERY}|({sixty} +)?{sixty} +{hour} +{day} +{month} +{weekday})$"
    );
    rule(
        &format!(
            "self.matches({}) && (!self.startsWith('@every ') || duration(self.substring(7)) >= duration('1s'))",
            literal(&form)
        ),
        "write five fields of cron, or six with seconds first, or @every and a duration; for example */5 * * * *",
    )
}

/// The keys of labels or annotations. Their length has no bound in a schema, and an API server reckons with none: the rule costs
/// as if they were empty.
pub(super) fn keys() -> Rule {
    rule(
        &format!("self.all(key, {})", is_key("key")),
        "write keys of at most 63 letters, digits, -, _ and ., for example team or example.com/team",
    )
}

/// Whether a text is the key of a label or an annotation.
fn is_key(name: &str) -> String {
    const PREFIX: &str = "[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?";
    const NAME: &str = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?";
    // A prefix is a host name, so no part of it is empty, nor begins or ends with a dash.
    const NO_PREFIX: &str = "^[^/]*([.][-.]|-[.])[^/]*/";
    format!("{name}.matches({}) && !{name}.matches({})", literal(&format!("^({PREFIX}/)?{NAME}$")), literal(NO_PREFIX))
}

/// Annotations of pods that are a user's to set.
pub(super) fn pod_annotations() -> Rule {
    Rule::new("self.all(name, !name.startsWith('dapr.io/') && !name.startsWith('todoplatform.dev/'))")
        .message("dapr.io/ and todoplatform.dev/ are set by the operator; see spec.dapr for what can be chosen")
}

/// Labels of pods that are a user's to set. By those of the operator pods are selected.
pub(super) fn pod_labels() -> Rule {
    Rule::new(
        "self.all(name, name != 'app' && !name.startsWith('app.kubernetes.io/') && !name.startsWith('dapr.io/') \
         && !name.startsWith('todoplatform.dev/'))",
    )
    .message("app, app.kubernetes.io/, dapr.io/ and todoplatform.dev/ are set by the operator; write other labels")
}

/// A port, as a regular expression.
const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// A host name and no address, each part of it of a length that DNS takes.
pub(super) fn no_address() -> Rule {
    const OCTET: &str = "0*(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    rule(
        &format!("!self.matches({}) && !self.matches('[^.]{{64}}')", literal(&format!(r"^{OCTET}(\.{OCTET}){{3}}$"))),
        "write a name, not an address, with at most 63 characters between two dots",
    )
}

/// What the frontend reads as names by which the page may be called; with anything else it does not start. Of users and of addresses
/// in brackets, which it reads, too, only the signs are looked at.
pub(super) fn allowed_hosts() -> Rule {
    const BLANK: &str = r"[ \t\r\n]*";
    const SIGN: &str = "A-Za-z0-9!$&'()+;=_~";
    let name = format!("[{SIGN}.-]*[{SIGN}-][{SIGN}.-]*(:[{SIGN}.*-]*)?");
    let other = format!(r"[{SIGN}.*%:@\[\]-]*[@\[\]][{SIGN}.*%:@\[\]-]*");
    // An API server reckons with the length of the expression: an entry is written once.
    let form = literal(&format!(r"^({BLANK}((\*|{name}|{other}){BLANK})?(,|$))*$"));
    rule(
        &format!("!has(self.env) || self.env.all(one, one.name != '{ALLOWED_HOSTS}' || one.value.matches({form}))"),
        "write names without a scheme and with commas between them into ALLOWED_HOSTS, or * for any",
    )
}

/// The URL of a collector, of which Dapr is told host and port.
pub(super) fn collector() -> Rule {
    text(
        &format!(r"https?://[^\s/:?#@,][^\s/?#@,]*:0*{PORT}/*"),
        "write a scheme, a host and a port alone, for example http://otel-collector.observability:4318",
    )
}

/// What a container may use more of than it has requested.
const SHARED: &str = "['cpu', 'memory', 'ephemeral-storage']";

/// Names of resources that a container may have.
pub(super) fn resource_names() -> Rule {
    rule(
        &format!(
            "self.all(name, name in {SHARED} || name.startsWith('hugepages-') \
             || name.contains('/') && {})",
            is_key("name")
        ),
        "write cpu, memory, ephemeral-storage or a name such as nvidia.com/gpu",
    )
}

/// Tolerations have operators and effects of Kubernetes'.
pub(super) fn tolerations_are_known() -> Rule {
    rule(
        "self.all(one, (!has(one.operator) || one.operator in ['', 'Exists', 'Equal']) \
         && (!has(one.effect) || one.effect in ['', 'NoSchedule', 'PreferNoSchedule', 'NoExecute']))",
        "write Exists or Equal as operator, and NoSchedule, PreferNoSchedule or NoExecute as effect",
    )
}

/// Tolerations have the key of a taint, or are for all taints.
pub(super) fn tolerations_have_keys() -> Rule {
    rule(
        &format!(
            "self.all(one, has(one.key) && one.key != '' ? {} : has(one.operator) && one.operator == 'Exists')",
            is_key("one.key")
        ),
        "write the key of a taint, for example example.com/spot, or operator: Exists for all taints",
    )
}

/// Tolerations have nothing that would not be looked at.
pub(super) fn tolerations_have_no_more() -> Rule {
    rule(
        "self.all(one, (!has(one.operator) || one.operator != 'Exists' || !has(one.value) || one.value == '') \
         && (!has(one.tolerationSeconds) || has(one.effect) && one.effect == 'NoExecute'))",
        "leave out value with operator: Exists, and tolerationSeconds with any effect but NoExecute",
    )
}

/// `host:port`, each of a list.
pub(super) fn brokers() -> Rule {
    let form = format!(r"^(\[[0-9a-fA-F:.]+\]|[^\s,/:]+):{PORT}$");
    rule(
        &format!("self.all(broker, broker.matches({}))", literal(&form)),
        "write host:port for each broker, for example kafka:9092",
    )
}

/// The size of a volume.
pub(super) fn volume_size() -> Rule {
    rule(
        "isQuantity(self) && quantity(self).compareTo(quantity('1Gi')) >= 0",
        "write a size of at least 1Gi, for example 5Gi",
    )
}

/// A mode of `spec.kafka` or `spec.postgres` that is given cannot be taken away, and the other way round. Embedded is
/// what is neither of the others, so it needs no rule of its own.
pub(super) fn mode_is_immutable(field: &str, mode: &str) -> Rule {
    let given = |object: &str| present(object, &[field, mode]);
    Rule::new(format!("({}) == ({})", given("self"), given("oldSelf"))).message(&*format!(
        "where {field} runs cannot be changed later, as its data stays where it is; \
         make a new platform in another namespace and move the data"
    ))
}

/// The storage class of a volume cannot change.
pub(super) fn storage_class_is_immutable(field: &str, mode: &str) -> Rule {
    let class = |object: &str| value_or(object, &[field, mode, "storage", "storageClassName"], "''");
    Rule::new(format!("{} == {}", class("self"), class("oldSelf")))
        .message(&*format!("{field}.{mode}.storage.storageClassName cannot be changed later; write what it was"))
}

/// The size of a volume can only grow. `default` is what an absent one means.
pub(super) fn storage_only_grows(field: &str, mode: &str, default: &str) -> Rule {
    let size = |object: &str| value_or(object, &[field, mode, "storage", "size"], &format!("'{default}'"));
    let (now, before) = (size("self"), size("oldSelf"));
    Rule::new(format!(
        "!isQuantity({now}) || !isQuantity({before}) || quantity({now}).compareTo(quantity({before})) >= 0"
    ))
    .message(&*format!("{field}.{mode}.storage.size can only grow; write a size of at least what it was"))
}

/// The number of partitions cannot change where the operator makes the topics.
pub(super) fn partitions_are_immutable(default: i32) -> Rule {
    let partitions = |object: &str| value_or(object, &["kafka", "topics", "partitions"], &default.to_string());
    rule(
        &format!(
            "({}) || {} == {}",
            present("self", &["kafka", "external"]),
            partitions("self"),
            partitions("oldSelf")
        ),
        "kafka.topics.partitions cannot be changed later, as events of one task would then be in two partitions and out of \
         order; write what it was",
    )
}

/// A cluster of Strimzi's has redundancy for ever or never: neither the number of controllers nor that of the copies of a
/// topic can be changed.
pub(super) fn redundancy_is_immutable(default: i32, redundant: i32) -> Rule {
    let brokers = |object: &str| value_or(object, &["kafka", "strimzi", "replicas"], &default.to_string());
    Rule::new(format!("({} >= {redundant}) == ({} >= {redundant})", brokers("self"), brokers("oldSelf"))).message(&*format!(
        "kafka.strimzi.replicas cannot be changed from below {redundant} to {redundant} or more, nor back, as the number of \
         controllers and of copies stays; write a number on the same side"
    ))
}

/// The request of a resource is within its limit.
pub(super) fn request_within_limit(resource: &str) -> Rule {
    let quantity = |list: &str| format!("quantity(string(self.{list}['{resource}']))");
    let given = |list: &str| format!("has(self.{list}) && '{resource}' in self.{list}");
    Rule::new(format!(
        "!({} && {}) || {}.compareTo({}) <= 0",
        given("requests"),
        given("limits"),
        quantity("requests"),
        quantity("limits")
    ))
    .message(&*format!("write a limit of {resource} that is at least the request"))
}

/// Of what cannot be shared, a container gets its limit, which is the request as well.
pub(super) fn requests_are_limits() -> Rule {
    let quantity = |list: &str| format!("quantity(string(self.{list}[name]))");
    rule(
        &format!(
            "!has(self.requests) || self.requests.all(name, name in {SHARED} \
             || has(self.limits) && name in self.limits && {}.compareTo({}) == 0)",
            quantity("requests"),
            quantity("limits")
        ),
        "write a limit that is the same as the request, or no request, of all but cpu, memory and ephemeral-storage",
    )
}

/// Devices are whole ones.
pub(super) fn whole_resources() -> Rule {
    rule(
        &format!("self.all(name, !name.contains('/') || {})", is_whole(AMOUNT)),
        "write a whole number of a resource such as nvidia.com/gpu",
    )
}

/// Huge pages are whole pages, whose size is in their name.
pub(super) fn huge_pages() -> Rule {
    const SIZE: &str = "name.substring(10)";
    let size = format!("quantity({SIZE}).asApproximateFloat()");
    let pages = is_whole(&format!("({AMOUNT} / {size})"));
    rule(
        &format!("self.all(name, !name.startsWith('hugepages-') || isQuantity({SIZE}) && {size} > 0.0 && {pages})"),
        "write a multiple of the size of a page, for example hugepages-2Mi: 4Mi",
    )
}

/// An amount of a map of them. As a float: `1000m` is whole to what checks pods, and not to `isInteger`.
const AMOUNT: &str = "quantity(string(self[name])).asApproximateFloat()";

fn is_whole(float: &str) -> String {
    format!("double(int({float})) == {float}")
}

/// A container that has huge pages has something else, too.
pub(super) fn huge_pages_beside_others() -> Rule {
    let any = |list: &str, holds: &str| format!("(has(self.{list}) && self.{list}.exists(name, {holds}))");
    let either = |holds: &str| format!("({} || {})", any("requests", holds), any("limits", holds));
    rule(
        &format!("!{} || {}", either("name.startsWith('hugepages-')"), either("name in ['cpu', 'memory']")),
        "write cpu or memory beside huge pages",
    )
}

fn rule(expression: &str, message: &str) -> Rule {
    Rule::new(expression).message(message)
}

/// Whether a field below several optional ones is given.
fn present(object: &str, path: &[&str]) -> String {
    let steps: Vec<String> = (1..=path.len()).map(|end| format!("has({object}.{})", path[..end].join("."))).collect();
    steps.join(" && ")
}

/// The value of a field below several optional ones, or another expression if it is absent.
fn value_or(object: &str, path: &[&str], default: &str) -> String {
    format!("({} ? {object}.{} : {default})", present(object, path), path.join("."))
}

/// A text of CEL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
