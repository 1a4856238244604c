//! Replication providers: the built-in one, and those that a simulated host has besides.

/// A provider as `Msvm_ReplicationProvider` shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Provider {
    /// `Name`: a GUID for the built-in one, else what settings call it.
    pub(crate) name: &'static str,
    /// `Description`.
    pub(crate) description: &'static str,
    /// Whether it is the built-in one.
    pub(crate) built_in: bool,
    /// Whether it can fail back.
    pub(crate) fails_back: bool,
}

/// Every provider of a host, the default first.
pub(crate) const PROVIDERS: &[Provider] = &[
    Provider {
        name: "22391CDC-272C-4DDF-BA88-9BEFB1A0975C",
        description: "Virtual machine replication provider to Hyper-V host",
        built_in: true,
        fails_back: true,
    },
    Provider {
        name: "sim-failback",
        description: "Simulated external provider that can fail back",
        built_in: false,
        fails_back: true,
    },
    Provider {
        name: "sim-nofailback",
        description: "Simulated external provider that cannot fail back",
        built_in: false,
        fails_back: false,
    },
];

/// The provider that settings name: `built-in`, or by its name, alone or at the end of its path.
pub(crate) fn named(name: &str) -> Option<&'static Provider> {
    let bare = name.trim_end_matches(['"', '}', '.']);
    let last = bare.rsplit(['\\', '"', '{']).next().unwrap_or_default();
    let named = |p: &&Provider| p.name.eq_ignore_ascii_case(last);
    PROVIDERS.iter().find(|p| p.built_in && name.eq_ignore_ascii_case("built-in") || named(p))
}
