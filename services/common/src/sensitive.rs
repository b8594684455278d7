use std::{fmt, hint};

/// A text that is never printed: passwords, tokens, connection strings.
#[derive(Clone)]
pub struct Sensitive(String);

impl Sensitive {
    /// Hides `text` from logs and errors.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its duration where the first difference is. The length is no secret.
    pub fn equals(&self, other: &[u8]) -> bool {
        let own = self.0.as_bytes();
        own.len() == other.len() && own.iter().zip(other).fold(0, |all, (a, b)| hint::black_box(all | (a ^ b))) == 0
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::Sensitive;

    #[test]
    fn a_secret_is_never_printed() {
        assert_eq!(format!("{:?}", Sensitive::new("hunter2")), "[hidden]");
    }

    #[test]
    fn only_the_same_text_is_equal() {
        let token = Sensitive::new("abc");
        assert!(token.equals(b"abc"));
        for other in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!token.equals(other.as_bytes()), "{other}");
        }
    }
}
