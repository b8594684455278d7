//! PostgreSQL that CloudNativePG runs. It makes everything else of it, the Secret with the way to the database included.

use todo_crds::cloud_native_pg::{Bootstrap, Cluster, ClusterSpec, InitDb, Storage};

use super::{Object, Policy, Wave, data_metadata};
use crate::{
    names,
    resolve::{CloudNativePg, Resolved},
};

/// `Cluster` `postgres`. With its volumes it is data: they go with it.
pub(super) fn object(platform: &Resolved, postgres: &CloudNativePg) -> Object {
    let spec = ClusterSpec {
        instances: postgres.instances,
        storage: Storage { size: postgres.storage.size.clone(), storage_class: postgres.storage.class.clone() },
        bootstrap: Bootstrap {
            initdb: InitDb { database: names::EMBEDDED_USER.to_owned(), owner: names::EMBEDDED_USER.to_owned() },
        },
    };
    let mut cluster = Cluster::new(names::POSTGRES, spec);
    cluster.metadata = data_metadata(platform, names::POSTGRES, Some(names::POSTGRES));
    Object::of(Wave::Infrastructure, Policy::Apply, &cluster)
}
