//! The images that run on the cluster, built by a container engine.
