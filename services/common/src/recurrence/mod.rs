//! When a recurring task is due next.
