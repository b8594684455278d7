//! How most tests begin: an operator that looks after a namespace of its own, and what it asks the API server.

use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};
use serde_json::Value;
use todo_e2e::{
    faults::{Ground, Operator, Options, Snapshot},
    proxy::{Proxy, Rule},
};

use crate::support::change_spec;

/// A namespace and its operator. Fields are dropped in this order.
pub(crate) struct Scene<'a> {
    pub(crate) operator: Operator,
    pub(crate) proxy: Proxy,
    pub(crate) namespace: String,
    /// With all rights, by no proxy.
    pub(crate) client: &'a Client,
    ground: &'a Ground,
}

impl<'a> Scene<'a> {
    /// Without a platform yet.
    pub(crate) async fn on(ground: &'a Ground) -> anyhow::Result<Self> {
        Self::with(ground, Options::default(), Vec::new()).await
    }

    /// The same, with an operator that is told something besides, and with what goes wrong from the beginning.
    pub(crate) async fn with(ground: &'a Ground, options: Options, wrong: Vec<Rule>) -> anyhow::Result<Self> {
        let (namespace, mut proxy) = (ground.another_walk().await?.namespace, ground.proxy().await?);
        proxy.set(wrong);
        let operator = Operator::start_with(&mut proxy, ground.folder.path(), Some(&namespace), "operator", options)?;
        Ok(Self { operator, proxy, namespace, client: &ground.client, ground })
    }

    /// With a platform that is there and at rest.
    pub(crate) async fn settled(ground: &'a Ground) -> anyhow::Result<Self> {
        let scene = Self::on(ground).await?;
        scene.settle().await?;
        Ok(scene)
    }

    /// Makes a platform, and waits until it is there and at rest.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        Ground::make_platform(self.client, &self.namespace).await?;
        self.created().await.map(drop)
    }

    /// Waits until the platform is there and at rest.
    pub(crate) async fn created(&self) -> anyhow::Result<Snapshot> {
        self.ground.created(&self.proxy, &self.namespace).await
    }

    /// Objects of a kind.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Changes the spec of the platform; what is null goes.
    pub(crate) async fn change_spec(&self, spec: &Value) -> anyhow::Result<()> {
        change_spec(self.client, &self.namespace, spec).await
    }
}
