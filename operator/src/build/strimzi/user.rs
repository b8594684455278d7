//! The user as which all sidecars connect.

use todo_crds::strimzi::{Acl, AclResource, KafkaUser, KafkaUserSpec, Type, UserAuthorization};

use super::metadata;
use crate::{build::pod::texts, names, resolve::Resolved};

/// `KafkaUser` `kafka-client`. It may read and write the platform's topics in the platform's group, and nothing else.
pub(super) fn build(platform: &Resolved) -> KafkaUser {
    let acl = |type_: &str, name: &str, operations: &[&str]| Acl {
        resource: AclResource { type_: type_.to_owned(), name: name.to_owned(), pattern_type: "literal".to_owned() },
        operations: texts(operations),
    };
    let topics = names::TOPICS.iter().map(|topic| acl("topic", topic, &["Describe", "Read", "Write"]));
    let acls = topics.chain([acl("group", &platform.kafka.consumer_group, &["Describe", "Read"])]).collect();
    let spec = KafkaUserSpec {
        authentication: Type::of("scram-sha-512"),
        authorization: UserAuthorization { type_: "simple".to_owned(), acls },
    };
    let mut user = KafkaUser::new(names::KAFKA_CLIENT, spec);
    user.metadata = metadata(platform, names::KAFKA_CLIENT);
    user
}
