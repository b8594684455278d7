//! Types of the conditions in a platform's status. They never change once released.

/// Sums up all others: the system works.
pub const READY: &str = "Ready";
/// The spec is one that the operator can make.
pub const SPEC_VALID: &str = "SpecValid";
/// Every key of every Secret that something needs is there.
pub const SECRETS_READY: &str = "SecretsReady";
/// Dapr is installed, in a version and with settings that work.
pub const DAPR_READY: &str = "DaprReady";
/// Kafka and PostgreSQL can be reached and used.
pub const INFRASTRUCTURE_READY: &str = "InfrastructureReady";
/// Every component is loaded by every sidecar that has it in scope.
pub const COMPONENTS_READY: &str = "ComponentsReady";
/// Every service is rolled out, with a sidecar in each pod.
pub const SERVICES_READY: &str = "ServicesReady";
/// A test message went the whole way a short while ago: API, Kafka, consumer, database.
pub const DATA_PATH_VERIFIED: &str = "DataPathVerified";
/// True while a change is being rolled out.
pub const PROGRESSING: &str = "Progressing";
/// True while something is wrong that does not stop the system from working.
pub const DEGRADED: &str = "Degraded";

/// All of them, in the order in which they are written.
pub const ALL: [&str; 10] = [
    READY,
    SPEC_VALID,
    SECRETS_READY,
    DAPR_READY,
    INFRASTRUCTURE_READY,
    COMPONENTS_READY,
    SERVICES_READY,
    DATA_PATH_VERIFIED,
    PROGRESSING,
    DEGRADED,
];
