//! A cluster on this machine with Dapr on it.
