//! What names an app in the file system.

/// The longest key, so that the paths of sockets below `run/` fit into a socket's address.
const LONGEST_KEY: usize = 40;

/// `<namespace>.<name>` with nothing in it that a path cannot have. Two different apps have different keys.
pub fn key(namespace: &str, name: &str) -> String {
    let mut key = String::new();
    for (index, part) in [namespace, name].into_iter().enumerate() {
        if index > 0 {
            key.push('.');
        }
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => key.push(char::from(byte)),
                other => key.push_str(&format!("%{other:02x}")),
            }
        }
    }
    if key.len() > LONGEST_KEY {
        let hash = fnv1a(key.as_bytes());
        key.truncate(LONGEST_KEY - 17);
        key.push_str(&format!("~{hash:016x}"));
    }
    key
}

/// The FNV-1a hash of 64 bits, the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_differ() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let keys = [
            key("default", "app"),
            key("default", "a/b"),
            key("default", "a.b"),
            key("default.a", "b"),
            key("default", &long),
            key("default", &longer),
            key("", ".."),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(one.len() <= LONGEST_KEY && !one.contains('/'), "{one}");
            assert!(keys[index + 1..].iter().all(|other| other != one), "{one}");
        }
        assert_eq!(keys[0], "default.app");
    }
}
