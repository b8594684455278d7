//! Which namespaces an operator works in. Several may share a cluster if no two have a namespace in common.

use kube_runtime::watcher;

/// One namespace, or all but some.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The one; all if none.
    pub namespace: Option<String>,
    /// Those of all that are somebody else's.
    pub excluded: Vec<String>,
}

impl Scope {
    /// Whether this namespace is one of them.
    pub fn has(&self, namespace: &str) -> bool {
        match &self.namespace {
            Some(only) => only == namespace,
            None => !self.excluded.iter().any(|other| other == namespace),
        }
    }

    /// The API of the one namespace if there is a restriction to one.
    pub(in crate::controller) fn api<T>(&self, all: impl FnOnce() -> T, one: impl FnOnce(&str) -> T) -> T {
        self.namespace.as_deref().map_or_else(all, one)
    }

    /// Leaves out what is somebody else's. The API server does that, so nothing of it is ever sent here.
    pub(in crate::controller) fn narrow(&self, config: watcher::Config) -> watcher::Config {
        if self.excluded.is_empty() {
            return config;
        }
        let others: Vec<_> = self.excluded.iter().map(|name| format!("metadata.namespace!={name}")).collect();
        config.fields(&others.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_of_others_are_left_out_by_the_api_server() {
        let fields = |excluded: &[&str]| {
            let excluded = excluded.iter().map(|&name| name.to_owned()).collect();
            Scope { namespace: None, excluded }.narrow(watcher::Config::default()).field_selector
        };
        assert_eq!(fields(&[]), None);
        assert_eq!(fields(&["a", "b"]).as_deref(), Some("metadata.namespace!=a,metadata.namespace!=b"));
    }
}
