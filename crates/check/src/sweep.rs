//! Sweeps: the same runs with many seeds, in shards that any scheduler may run in any order, on any machine, again.
//!
//! A sweep has numbered *cases*; shard I of N takes every N-th. A shard leaves one text: a header, a line a case in their
//! order, a footer with their digest. [`merge`] puts the shards together and refuses gaps, and cases that came out
//! differently in two places.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The form of these texts.
const FORMAT: u32 = 1;

/// A part of a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 1.
    pub index: u64,
    /// How many there are.
    pub count: u64,
}

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    /// `I/N`, with I from 1 to N.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (index, count) = text.split_once('/')?;
        let shard = Self { index: index.parse().ok()?, count: count.parse().ok()? };
        (1..=shard.count).contains(&shard.index).then_some(shard)
    }

    /// From the variables of a Slurm job array or of an indexed job of Kubernetes, which has no variable for the number of
    /// its pods: `HVRSIM_SHARDS` tells it, and wins over Slurm's. `None` outside of both.
    ///
    /// # Errors
    /// What is wrong with the variables.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let number = |name: &str| match variable(name) {
            None => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("{name} is `{text}`: expected a whole number")),
            },
        };
        let shards = number("HVRSIM_SHARDS")?;
        let (index, count) = if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            if number("SLURM_ARRAY_TASK_STEP")?.is_some_and(|step| step != 1) {
                return Err("the job array has steps; give it consecutive numbers, or use --shard".to_owned());
            }
            let first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(1);
            (id.wrapping_sub(first).wrapping_add(1), shards.or(number("SLURM_ARRAY_TASK_COUNT")?))
        } else if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            (index.wrapping_add(1), shards)
        } else {
            return Ok(None);
        };
        let Some(count) = count else {
            return Err(format!("this is shard {index} of an unknown number: set HVRSIM_SHARDS"));
        };
        Self::parse(&format!("{index}/{count}"))
            .map(Some)
            .ok_or_else(|| format!("the variables of the job array say shard {index} of {count}"))
    }

    /// Whether it has this case.
    #[must_use]
    pub const fn has(&self, case: u64) -> bool {
        case % self.count == self.index - 1
    }

    /// The name of the file that it leaves.
    #[must_use]
    pub fn file(&self) -> String {
        format!("shard-{}-of-{}.jsonl", self.index, self.count)
    }
}

/// What all shards of a sweep have in common.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The form of the text.
    pub sweep: u32,
    /// The program's version.
    pub version: String,
    /// What was run: names, each with the digest of its text.
    pub what: Vec<(String, String)>,
    /// The seeds, without the last.
    pub seeds: (u64, u64),
    /// How many cases the whole sweep has.
    pub cases: u64,
}

impl Header {
    /// A header of this form.
    #[must_use]
    pub fn new(version: &str, what: Vec<(String, String)>, seeds: (u64, u64), cases: u64) -> Self {
        Self { sweep: FORMAT, version: version.to_owned(), what, seeds, cases }
    }
}

/// What came of a case.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its number.
    pub case: u64,
    /// What was run.
    pub name: String,
    /// With which seed.
    pub seed: u64,
    /// The digest of all that happened.
    pub digest: String,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct First {
    #[serde(flatten)]
    header: Header,
    shard: Shard,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Last {
    cases: u64,
    failed: u64,
    digest: String,
}

fn line<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).expect("it has no maps with odd keys");
    text.push('\n');
    text
}

fn last(lines: &str, cases: &[Case]) -> Last {
    let failed = cases.iter().filter(|case| case.failed.is_some()).count();
    Last {
        cases: cases.len() as u64,
        failed: failed as u64,
        digest: blake3::hash(lines.as_bytes()).to_hex().to_string(),
    }
}

/// What a shard leaves; `cases` in the order of their numbers.
#[must_use]
pub fn text(header: &Header, shard: Shard, cases: &[Case]) -> String {
    let lines: String = cases.iter().map(line).collect();
    let first = line(&First { header: header.clone(), shard });
    format!("{first}{lines}{}", line(&last(&lines, cases)))
}

fn read(text: &str) -> Result<(First, Vec<Case>), String> {
    let broken = |error: serde_json::Error| format!("it is no result of a sweep: {error}");
    let mut lines: Vec<&str> = text.lines().collect();
    let end = lines.pop().unwrap_or_default();
    let Some((first, lines)) = lines.split_first() else { return Err("it is cut off".to_owned()) };
    let first: First = serde_json::from_str(first).map_err(broken)?;
    if first.header.sweep != FORMAT {
        return Err(format!("it has the form {}, this program reads {FORMAT}", first.header.sweep));
    }
    let cases: Vec<Case> =
        lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>().map_err(broken)?;
    let end: Last = serde_json::from_str(end).map_err(|_| "it is cut off".to_owned())?;
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if end != last(&body, &cases) {
        return Err("its lines are not those that its last line tells of".to_owned());
    }
    Ok((first, cases))
}

/// Shards put together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Merged {
    /// What they have in common.
    pub header: Header,
    /// All cases, by number.
    pub cases: Vec<Case>,
    /// The digest of them all: equal for any number of shards and threads.
    pub digest: String,
}

impl Merged {
    /// The failed case with the smallest seed.
    #[must_use]
    pub fn smallest_failure(&self) -> Option<&Case> {
        let failed = self.cases.iter().filter(|case| case.failed.is_some());
        failed.min_by_key(|case| (case.seed, case.case))
    }
}

/// Puts the texts of shards together, each with the name of its file.
///
/// # Errors
/// Texts that are no results or of different sweeps, cases that two files tell differently, and cases that are missing.
pub fn merge(texts: &[(String, String)]) -> Result<Merged, String> {
    let mut common: Option<(&str, Header)> = None;
    let mut cases: BTreeMap<u64, (&str, Case)> = BTreeMap::new();
    for (file, text) in texts {
        let (first, found) = read(text).map_err(|error| format!("{file}: {error}"))?;
        match &common {
            Some((other, header)) if *header != first.header => {
                return Err(format!(
                    "{file} and {other} are of different sweeps: they must have the same program, files and seeds"
                ));
            }
            Some(_) => {}
            None => common = Some((file, first.header)),
        }
        for case in found {
            if let Some((other, known)) = cases.get(&case.case)
                && *known != case
            {
                return Err(format!(
                    "{file} and {other} disagree about {} with seed {}: one of the machines cannot be trusted, or the \
                     program is not deterministic",
                    case.name, case.seed
                ));
            }
            cases.insert(case.case, (file, case));
        }
    }
    let Some((_, header)) = common else { return Err("there are no results here".to_owned()) };
    if let Some(gap) = (0..header.cases).find(|number| !cases.contains_key(number)) {
        let missing = header.cases - cases.len() as u64;
        return Err(format!("{missing} cases of {} are missing, the first is case {gap}", header.cases));
    }
    let cases: Vec<Case> = cases.into_values().map(|(_, case)| case).collect();
    let lines: String = cases.iter().map(line).collect();
    let digest = blake3::hash(lines.as_bytes()).to_hex().to_string();
    Ok(Merged { header, cases, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(number: u64, failed: bool) -> Case {
        Case {
            case: number,
            name: "a.yaml".to_owned(),
            seed: 100 - number,
            digest: format!("d{number}"),
            failed: failed.then(|| "it did".to_owned()),
        }
    }

    fn sweep(shards: u64) -> Vec<(String, String)> {
        let header = Header::new("1", vec![("a.yaml".to_owned(), "x".to_owned())], (91, 101), 10);
        let shards = (1..=shards).map(|index| Shard { index, count: shards });
        let left = |shard: Shard| {
            let cases: Vec<Case> =
                (0..10).filter(|n| shard.has(*n)).map(|n| case(n, n == 3 || n == 7)).collect();
            (shard.file(), text(&header, shard, &cases))
        };
        shards.map(left).collect()
    }

    #[test]
    fn any_number_of_shards_gives_one_result() {
        let one = merge(&sweep(1)).expect("it is whole");
        for shards in [2, 3, 7, 10, 12] {
            assert_eq!(merge(&sweep(shards)), Ok(one.clone()));
        }
        assert_eq!(one.smallest_failure().map(|case| case.seed), Some(93));
    }

    #[test]
    fn a_shard_done_twice_counts_once() {
        let mut texts = sweep(3);
        let (_, again) = texts[1].clone();
        texts.push(("copy.jsonl".to_owned(), again));
        assert_eq!(merge(&texts), merge(&sweep(1)));
    }

    #[test]
    fn gaps_lies_and_scraps_are_refused() {
        let refused = |texts: &[(String, String)]| merge(texts).expect_err("it is not whole");
        assert!(refused(&sweep(3)[..2]).contains("3 cases of 10 are missing, the first is case 2"));
        assert!(refused(&[]).contains("no results"));
        let mut texts = sweep(2);
        let cut = texts[1].1.lines().take(3).collect::<Vec<_>>().join("\n");
        texts[1].1 = cut;
        assert!(refused(&texts).contains("shard-2-of-2.jsonl: it is cut off"), "{}", refused(&texts));
        let mut texts = sweep(2);
        texts[0].1 = texts[0].1.replace("\"d4\"", "\"d5\"");
        assert!(refused(&texts).contains("last line"));
        let header = Header::new("1", vec![("a.yaml".to_owned(), "x".to_owned())], (91, 101), 10);
        let lie = Case { digest: "other".to_owned(), ..case(1, false) };
        let mut texts = sweep(2);
        texts.push(("lie.jsonl".to_owned(), text(&header, Shard { index: 2, count: 10 }, &[lie])));
        assert!(refused(&texts).contains("lie.jsonl and shard-2-of-2.jsonl disagree"));
        let other = Header { version: "2".to_owned(), ..header };
        texts.pop();
        texts.push(("old.jsonl".to_owned(), text(&other, Shard::WHOLE, &[])));
        assert!(refused(&texts).contains("different sweeps"));
    }

    #[test]
    fn shards_come_from_schedulers() {
        let of = |variables: &[(&str, &str)]| {
            Shard::of_environment(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let shard = |index, count| Ok(Some(Shard { index, count }));
        assert_eq!(of(&[]), Ok(None));
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "12"),
            ("SLURM_ARRAY_TASK_MIN", "10"),
            ("SLURM_ARRAY_TASK_COUNT", "4"),
            ("SLURM_ARRAY_TASK_STEP", "1"),
        ];
        assert_eq!(of(&slurm), shard(3, 4));
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "0"), ("HVRSIM_SHARDS", "5")]), shard(1, 5));
        assert!(of(&[("JOB_COMPLETION_INDEX", "0")]).is_err_and(|text| text.contains("HVRSIM_SHARDS")));
        assert!(of(&[("JOB_COMPLETION_INDEX", "5"), ("HVRSIM_SHARDS", "5")]).is_err());
        assert!(of(&[("SLURM_ARRAY_TASK_ID", "x")]).is_err_and(|text| text.contains("`x`")));
        let steps = [("SLURM_ARRAY_TASK_ID", "4"), ("SLURM_ARRAY_TASK_STEP", "2")];
        assert!(of(&steps).is_err());
        assert_eq!(Shard::parse("0/3"), None);
        assert_eq!(Shard::parse("4/3"), None);
    }
}
