//! Network adapters of a machine, and the addresses that replication gives them at a failover.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A synthetic network adapter as one copy of a machine has it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Adapter {
    /// Its name; `Network Adapter` unless somebody gave it another.
    pub name: String,
    /// The switch of the host that it is connected to.
    pub switch: Option<String>,
    /// What the guest's own configuration says; `None` asks a DHCP server.
    pub address: Option<IpAddr>,
    /// What the guest is told at its first start after a failover; `None` leaves it its own configuration.
    pub failover: Option<FailoverAddresses>,
    /// The switch of the host for the test machine's adapter (`TestReplicaSwitchName`).
    pub test_switch: Option<String>,
    /// The resource pool for the test machine's adapter (`TestReplicaPoolName`).
    pub test_pool: Option<String>,
}

impl Adapter {
    /// The name of an adapter that nobody named.
    pub const DEFAULT_NAME: &'static str = "Network Adapter";
}

/// The addresses of an adapter after a failover (`Msvm_FailoverNetworkAdapterSettingData`).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct FailoverAddresses {
    /// IPv4 addresses come from a DHCP server (`DHCPEnabled`).
    pub dhcp: bool,
    /// `IPAddresses`.
    pub addresses: Vec<IpAddr>,
    /// `Subnets`: for each address the mask (IPv4) or the length of the prefix (IPv6).
    pub subnets: Vec<String>,
    /// `DefaultGateways`, at most 5.
    pub gateways: Vec<IpAddr>,
    /// `DNSServers`, the preferred one first.
    pub dns_servers: Vec<IpAddr>,
}

impl FailoverAddresses {
    /// Whether it tells the guest nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.addresses.is_empty() && !self.dhcp
    }

    /// The first address of a protocol with what stands for its subnet.
    #[must_use]
    pub fn first(&self, v6: bool) -> Option<(IpAddr, &str)> {
        let at = self.addresses.iter().position(|address| address.is_ipv6() == v6)?;
        Some((self.addresses[at], self.subnets.get(at).map_or("", String::as_str)))
    }

    /// Drops everything of one protocol.
    pub fn clear(&mut self, v6: bool) {
        let kept = |address: &IpAddr| address.is_ipv6() != v6;
        let subnets = std::mem::take(&mut self.subnets);
        let of = self.addresses.iter().zip(subnets);
        self.subnets = of.filter(|(address, _)| kept(address)).map(|(_, subnet)| subnet).collect();
        self.addresses.retain(kept);
        self.gateways.retain(kept);
        self.dns_servers.retain(kept);
        self.dhcp &= v6;
    }

    /// `ProtocolIFType`: 4096 IPv4, 4097 IPv6, 4098 both, 0 neither.
    #[must_use]
    pub fn protocol_number(&self) -> u16 {
        let v4 = self.dhcp || self.addresses.iter().any(IpAddr::is_ipv4);
        match (v4, self.addresses.iter().any(IpAddr::is_ipv6)) {
            (true, false) => 4096,
            (false, true) => 4097,
            (true, true) => 4098,
            (false, false) => 0,
        }
    }
}

/// A change of one adapter of a copy.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct AdapterChange {
    /// Which adapter, from 0.
    pub adapter: u8,
    /// What is set.
    pub set: AdapterSetting,
}

/// What is set of an adapter.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum AdapterSetting {
    /// The addresses after a failover; `None`: the guest keeps its own configuration.
    Failover(Option<FailoverAddresses>),
    /// The switch of the test machine's adapter.
    TestSwitch(Option<String>),
    /// The resource pool of the test machine's adapter.
    TestPool(Option<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_protocol_is_cleared_and_the_other_stays() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut both = FailoverAddresses {
            dhcp: false,
            addresses: vec![ip("192.0.2.5"), ip("2001:db8::5")],
            subnets: vec!["255.255.255.0".to_owned(), "64".to_owned()],
            gateways: vec![ip("192.0.2.1")],
            dns_servers: vec![ip("2001:db8::1"), ip("192.0.2.2")],
        };
        assert_eq!(both.protocol_number(), 4098);
        both.clear(false);
        assert_eq!((both.protocol_number(), both.first(false)), (4097, None));
        assert_eq!(both.first(true), Some((ip("2001:db8::5"), "64")));
        assert_eq!((both.gateways.len(), both.dns_servers.as_slice()), (0, &[ip("2001:db8::1")][..]));
        both.clear(true);
        assert!(both.is_empty() && both.protocol_number() == 0);
    }
}
