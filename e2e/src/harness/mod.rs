//! What scenarios need: namespaces of their own, waits with a limit, and dumps when a wait fails.
