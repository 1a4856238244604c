//! The grid.

/// What stands in the page cache before a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cache {
    Warm,
    Cold,
}

impl Cache {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
        }
    }
}

/// A pair of images, and the caches to run it with.
pub(crate) struct Pair {
    pub format: &'static str,
    pub pattern: &'static str,
    /// Per cent of the allocated blocks.
    pub changed: &'static str,
    pub caches: Vec<Cache>,
}

/// One place of the grid.
#[derive(Clone)]
pub(crate) struct Cell {
    pub format: &'static str,
    pub pattern: &'static str,
    pub changed: &'static str,
    pub cache: Cache,
    pub size: &'static str,
}

impl Pair {
    /// The pair on which the tracked resync is held against the full one.
    pub(crate) fn tracked() -> Self {
        Self { format: "raw", pattern: "random", changed: "1", caches: vec![Cache::Warm] }
    }

    pub(crate) fn cell(&self, cache: Cache) -> Cell {
        Cell { format: self.format, pattern: self.pattern, changed: self.changed, cache, size: "" }
    }
}

impl Cell {
    pub(crate) fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.format, self.pattern, self.changed, self.cache.name())
    }

    pub(crate) fn of_16_gib(mut self) -> Self {
        self.size = "16 GiB";
        self
    }

    /// The tools that run beside ours; rsync has runs of its own.
    pub(crate) fn peers(&self) -> Vec<&'static str> {
        vec!["qemu-img compare", "cp", "qemu-img convert", "rsync --whole-file"]
    }

    /// A cold run is held against nothing but reading.
    pub(crate) fn reads_both(&self) -> bool {
        self.cache == Cache::Cold
    }

    pub(crate) fn over_tcp(&self) -> bool {
        self.cache == Cache::Warm && self.changed == "1"
    }

    /// Whether a pattern FORMAT/PATTERN/CHANGED/CACHE names this cell.
    fn matches(&self, wanted: &str) -> bool {
        let own = [self.format, self.pattern, self.changed, self.cache.name()];
        let mut parts = wanted.split('/');
        let all = own.iter().all(|own| parts.next().is_none_or(|part| part == "*" || part == *own));
        all && parts.next().is_none()
    }
}

/// The cells that the patterns name, by their pairs.
pub(crate) fn chosen(wanted: &[String]) -> Result<Vec<Pair>, String> {
    let mut pairs = Vec::new();
    for format in ["raw", "vhdx"] {
        for changed in ["0", "0.1", "1", "10", "50"] {
            // Nothing changed looks the same however it is spread.
            let patterns: &[&str] = if changed == "0" { &["random"] } else { &["random", "clustered"] };
            for pattern in patterns {
                let mut pair = Pair { format, pattern, changed, caches: Vec::new() };
                for cache in [Cache::Warm, Cache::Cold] {
                    if wanted.iter().any(|wanted| pair.cell(cache).matches(wanted)) {
                        pair.caches.push(cache);
                    }
                }
                if !pair.caches.is_empty() {
                    pairs.push(pair);
                }
            }
        }
    }
    if pairs.is_empty() {
        return Err(format!("no cell is named by {}: see --help for the names", wanted.join(",")));
    }
    Ok(pairs)
}
