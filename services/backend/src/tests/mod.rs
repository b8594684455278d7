//! Requests on the whole router, against a real database and a stand-in for the sidecar.
