use std::borrow::Cow;

/// Decoding gave bytes that are not UTF-8.
#[derive(Debug)]
pub(super) struct NotUtf8;

/// Replaces each `%` and two hexadecimal digits by their byte; a `%` without them stays.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, NotUtf8> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|&b| (b as char).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                &tail[2..]
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| NotUtf8)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::decode;

    #[test]
    fn decodes() {
        for (text, plain) in [
            ("", ""),
            ("a+b", "a+b"),
            ("a%20b", "a b"),
            ("%C3%a4", "ä"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
        ] {
            assert_eq!(decode(text).unwrap(), plain);
        }
        assert!(decode("%ff").is_err());
    }
}
