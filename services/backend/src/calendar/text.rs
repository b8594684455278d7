//! Content lines of RFC 5545.

/// Longest line, in bytes; what is longer goes on in the next one, after a blank.
const LINE: usize = 75;

/// Adds `name:value`, folded. `value` is written as it is.
pub(super) fn push(calendar: &mut String, name: &str, value: &str) {
    let mut length = 0;
    for c in name.chars().chain([':']).chain(value.chars()) {
        if length + c.len_utf8() > LINE {
            calendar.push_str("\r\n ");
            length = 1;
        }
        calendar.push(c);
        length += c.len_utf8();
    }
    calendar.push_str("\r\n");
}

/// A person's text as a value. Control characters, which no calendar may have, are left out.
pub(super) fn escaped(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() && c != '\t' => {}
            c => escaped.push(c),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_folded_between_characters() {
        let mut calendar = String::new();
        push(&mut calendar, "SUMMARY", &"ö🥛".repeat(40));
        for line in calendar.trim_end().split("\r\n") {
            assert!(line.len() <= LINE, "{line}");
        }
        assert_eq!(calendar.replace("\r\n ", ""), format!("SUMMARY:{}\r\n", "ö🥛".repeat(40)));
    }

    #[test]
    fn a_text_cannot_end_its_line() {
        assert_eq!(escaped("a;b,c\\d\r\nBEGIN:VEVENT\re\u{1}\u{85}"), "a\\;b\\,c\\\\d\\nBEGIN:VEVENT\\ne");
    }
}
