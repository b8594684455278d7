//! Ids of the services as Dapr apps: by these they call each other, and consumers are told apart. They never change.

/// Tasks, chat and MCP.
pub const BACKEND: &str = "backend-service";
/// Notifications and their channels.
pub const NOTIFICATION: &str = "notification-service";
/// Next occurrences.
pub const RECURRING_TASK: &str = "recurring-task-service";
/// The page.
pub const FRONTEND: &str = "frontend-service";
