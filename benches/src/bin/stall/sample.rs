//! What a child has measured, as it prints it.

use crate::Failure;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// How late each was.
    pub(crate) late: Vec<Duration>,
    /// When all was over.
    pub(crate) over: Option<Duration>,
    /// How many threads the runtime had at most.
    pub(crate) threads: Option<u64>,
}

/// A line for each value: its name, and a number; times in ns.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for late in &self.late {
            writeln!(f, "late {}", late.as_nanos())?;
        }
        if let Some(over) = self.over {
            writeln!(f, "over {}", over.as_nanos())?;
        }
        if let Some(threads) = self.threads {
            writeln!(f, "threads {threads}")?;
        }
        Ok(())
    }
}

impl FromStr for Sample {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let mut sample = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').ok_or(format!("'{line}' is no sample"))?;
            let value: u64 = value.parse()?;
            match name {
                "late" => sample.late.push(Duration::from_nanos(value)),
                "over" => sample.over = Some(Duration::from_nanos(value)),
                "threads" => sample.threads = Some(value),
                _ => return Err(format!("'{line}' is no sample").into()),
            }
        }
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ms;

    #[test]
    fn what_is_printed_is_read() {
        let sample = Sample { late: vec![ms(1), ms(2)], over: Some(ms(3)), threads: Some(4) };
        assert_eq!(sample.to_string().parse::<Sample>().unwrap(), sample);
        assert_eq!("".parse::<Sample>().unwrap(), Sample::default());
        assert!("late".parse::<Sample>().is_err() && "soon 3".parse::<Sample>().is_err());
    }
}
