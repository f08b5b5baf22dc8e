//! Paths without parameters, found by a table.

/// Patterns without parameters, to be found by the path that each is.
pub(super) struct Fixed {
    /// A power of two of places, at least twice as many as there are patterns. One that would stand
    /// where another is stands behind it.
    places: Box<[Option<FixedPath>]>,
}

/// A path, and where in the routes its own is.
pub(super) type FixedPath = (Box<[u8]>, usize);

impl Fixed {
    pub(super) fn new(patterns: Vec<FixedPath>) -> Self {
        let count = (2 * patterns.len()).next_power_of_two();
        let mut places: Box<[_]> = std::iter::repeat_with(|| None).take(count).collect();
        for (path, at) in patterns {
            let first = Self::place(&path);
            let free = (first..).map(|n| n & (count - 1)).find(|&n| places[n].is_none());
            if let Some(place) = free {
                places[place] = Some((path, at));
            }
        }
        Self { places }
    }

    #[inline]
    pub(super) fn find(&self, path: &[u8]) -> Option<usize> {
        let mask = self.places.len() - 1;
        let mut n = Self::place(path) & mask;
        while let Some((present, at)) = &self.places[n] {
            if **present == *path {
                return Some(*at);
            }
            n = (n + 1) & mask;
        }
        None
    }

    /// A number that differs where the length, the last eight bytes, or those before the last eight do.
    /// The paths that are kept are the program's own, so it need not withstand a client.
    #[inline]
    fn place(path: &[u8]) -> usize {
        let end = |path: &[u8]| match path.last_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => path.iter().fold(0, |word, &byte| (word << 8) | u64::from(byte)),
        };
        let rest = &path[..path.len().saturating_sub(8)];
        let word = end(path) ^ end(rest).rotate_left(29) ^ path.len() as u64;
        let spread = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (spread >> 32) as usize
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Fixed;

    #[test]
    fn each_path_is_found_and_no_other() {
        for count in [0, 1, 2, 7, 300] {
            // Of all lengths, with ends in common, and with the same bytes at both ends.
            let path = |n: usize| format!("/{}/{}/common", "x".repeat(n % 23), n).into_bytes();
            let paths = (0..count).map(|n| (path(n).into_boxed_slice(), n)).collect();
            let fixed = Fixed::new(paths);
            for n in 0..count {
                assert_eq!(fixed.find(&path(n)), Some(n));
            }
            for unknown in [&b""[..], b"/", b"*", b"/common", &path(count)] {
                assert_eq!(fixed.find(unknown), None);
            }
        }
    }
}
