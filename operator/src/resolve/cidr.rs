//! Ranges of addresses.

use std::{fmt, net::IpAddr, str::FromStr};

/// A range of IP addresses, such as `10.0.0.0/8` or `fd00::/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr(String);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_range = text.split_once('/').is_some_and(|(address, length)| {
            let longest = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            // The API server takes no sign and no zero before it.
            length.parse::<u8>().is_ok_and(|number| number <= longest && number.to_string() == length)
        });
        if is_range {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is no range of addresses; write for example 172.18.0.2/32"))
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_an_address_of_either_family_with_as_many_bits_as_it_can_have() {
        for text in ["10.96.0.1/32", "0.0.0.0/0", "fd00:10:96::1/128", "::/0"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "10.96.0.1",
            "10.96.0.1/33",
            "10.96.0.1/",
            "10.96.0/24",
            "::1/129",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "kubernetes/32",
        ] {
            let words = text.parse::<Cidr>().unwrap_err();
            assert!(words.contains("write for example"), "{text}: {words}");
        }
    }
}
