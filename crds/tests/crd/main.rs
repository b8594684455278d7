//! The schema of the resource as it is installed: that it is complete and bounded, and what its rules refuse.

mod rules;
mod schema;
