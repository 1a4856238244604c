//! Network adapters of a machine: what the cmdlets set of them, and which they show.

use std::net::IpAddr;

use hvrsim_replica::operation::Operation;
use hvrsim_sim::look::{AdapterView, Look};
use hvrsim_types::id::CopyId;
use hvrsim_types::network::{AdapterChange, AdapterSetting, FailoverAddresses};

use crate::bind::Call;
use crate::error::BindError;
use crate::table::Verb;
use crate::value::Value;

/// The adapters that a call is about, with their numbers: all, or those of the name that it gives.
pub(crate) fn chosen(call: &Call, look: &dyn Look, on: CopyId) -> Result<Vec<(u8, AdapterView)>, BindError> {
    let parameter = if call.cmdlet().verb == Verb::SetAdapter { "Name" } else { "VMNetworkAdapterName" };
    let wanted = call.text(parameter);
    let same = |(_, view): &(u8, AdapterView)| {
        wanted.is_none_or(|name| view.adapter.name.eq_ignore_ascii_case(name))
    };
    let found: Vec<_> = (0..).zip(look.adapters(on)).filter(same).collect();
    match wanted {
        Some(name) if found.is_empty() => {
            let message = format!(
                "Hyper-V was unable to find a network adapter with name \"{name}\" of {}.",
                look.vm_name(on.vm)
            );
            Err(call.error_at(parameter, "InvalidParameter", message))
        }
        _ => Ok(found),
    }
}

/// `Set-VMNetworkAdapterFailoverConfiguration`.
pub(crate) fn set_failover(call: &Call, look: &dyn Look, on: CopyId) -> Result<Operation, BindError> {
    let mut changes = Vec::new();
    for (adapter, view) in chosen(call, look, on)? {
        let mut addresses = view.adapter.failover.unwrap_or_default();
        for protocol in [V4, V6] {
            protocol.change(call, &mut addresses)?;
        }
        let set = AdapterSetting::Failover(Some(addresses).filter(|new| !new.is_empty()));
        changes.push(AdapterChange { adapter, set });
    }
    Ok(Operation::SetAdapters(changes))
}

/// `Set-VMNetworkAdapter`, what of it concerns test machines.
pub(crate) fn set_test(call: &Call, look: &dyn Look, on: CopyId) -> Result<Operation, BindError> {
    let switch = call.text("TestReplicaSwitchName");
    if let Some(name) = switch.filter(|name| !name.is_empty() && !look.has_switch(on.host, name)) {
        let host = look.host_name(on.host);
        let message = format!("Hyper-V was unable to find a virtual switch with name \"{name}\" on {host}.");
        return Err(call.error_at("TestReplicaSwitchName", "InvalidParameter", message));
    }
    let some = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    let mut changes = Vec::new();
    for (adapter, _) in chosen(call, look, on)? {
        let switch = switch.map(|name| AdapterSetting::TestSwitch(some(name)));
        let pool = call.text("TestReplicaPoolName").map(|name| AdapterSetting::TestPool(some(name)));
        changes.extend([switch, pool].into_iter().flatten().map(|set| AdapterChange { adapter, set }));
    }
    Ok(Operation::SetAdapters(changes))
}

/// The parameters of one protocol.
struct Protocol {
    v6: bool,
    address: &'static str,
    subnet: &'static str,
    gateway: &'static str,
    dns: [&'static str; 2],
    clear: &'static str,
}

const V4: Protocol = Protocol {
    v6: false,
    address: "IPv4Address",
    subnet: "IPv4SubnetMask",
    gateway: "IPv4DefaultGateway",
    dns: ["IPv4PreferredDNSServer", "IPv4AlternateDNSServer"],
    clear: "ClearFailoverIPv4Settings",
};
const V6: Protocol = Protocol {
    v6: true,
    address: "IPv6Address",
    subnet: "IPv6SubnetPrefixLength",
    gateway: "IPv6DefaultGateway",
    dns: ["IPv6PreferredDNSServer", "IPv6AlternateDNSServer"],
    clear: "ClearFailoverIPv6Settings",
};

impl Protocol {
    fn change(&self, call: &Call, addresses: &mut FailoverAddresses) -> Result<(), BindError> {
        if call.switch(self.clear) {
            addresses.clear(self.v6);
            return Ok(());
        }
        let subnet = match call.value(self.subnet) {
            Some(Value::Integer(length)) => Some(length.to_string()),
            Some(Value::Text(mask)) => Some(mask.clone()),
            _ => None,
        };
        match (self.ip(call, self.address)?, subnet) {
            (Some(address), Some(subnet)) => {
                let kept = std::mem::take(addresses);
                *addresses = kept.clone();
                addresses.clear(self.v6);
                addresses.addresses.push(address);
                addresses.subnets.push(subnet);
                addresses.gateways = kept.gateways;
                addresses.dns_servers = kept.dns_servers;
            }
            (None, None) => {}
            (address, _) => {
                let given = if address.is_some() { self.address } else { self.subnet };
                let message = format!("{} and {} are given together.", self.address, self.subnet);
                return Err(call.error_at(given, "InvalidParameter", message));
            }
        }
        let own = |ip: &IpAddr| ip.is_ipv6() == self.v6;
        if let Some(gateway) = self.ip(call, self.gateway)? {
            addresses.gateways.retain(|ip| !own(ip));
            addresses.gateways.push(gateway);
        }
        let [preferred, alternate] = [self.ip(call, self.dns[0])?, self.ip(call, self.dns[1])?];
        if preferred.is_some() || alternate.is_some() {
            addresses.dns_servers.retain(|ip| !own(ip));
            addresses.dns_servers.extend(preferred.into_iter().chain(alternate));
        }
        Ok(())
    }

    fn ip(&self, call: &Call, parameter: &'static str) -> Result<Option<IpAddr>, BindError> {
        let Some(text) = call.text(parameter) else { return Ok(None) };
        match text.parse::<IpAddr>() {
            Ok(ip) if ip.is_ipv6() == self.v6 => Ok(Some(ip)),
            _ => {
                let which = if self.v6 { "IPv6" } else { "IPv4" };
                let message = format!("\"{text}\" is no {which} address.");
                Err(call.error_at(parameter, "InvalidParameter", message))
            }
        }
    }
}
