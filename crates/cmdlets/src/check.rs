//! What can be known of a call before anything runs: whether the hosts and machines that it names exist.

use std::net::IpAddr;

use hvrsim_sim::paths::{disk_named, disk_path};
use hvrsim_types::near::nearest;

use crate::bind::Call;
use crate::error::BindError;
use crate::table::Verb;
use crate::value::{PointName, Value};

/// The names of a topology.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Hosts.
    pub hosts: &'a [String],
    /// Client access points of the brokers of clusters.
    pub access_points: &'a [String],
    /// Virtual machines.
    pub vms: &'a [String],
}

/// Looks up every host and machine that the call names. Wildcards are left to the run.
///
/// # Errors
/// The first name that no host or machine has, with the nearest that one has.
pub fn check(call: &Call, names: &Names<'_>) -> Result<(), BindError> {
    for parameter in ["ComputerName", "CimSession"] {
        for name in call.texts(parameter).iter().filter(|name| !is_local(name)) {
            known_host(call, parameter, name, names)?;
        }
    }
    for parameter in ["ReplicaServerName", "PrimaryServerName", "DestinationHost"] {
        let broker = |name: &&str| host_named(names.access_points, name).is_some();
        if let Some(name) = call.text(parameter).filter(|name| !broker(name)) {
            known_host(call, parameter, name, names)?;
        }
    }
    for name in call.vm_names().iter().filter(|name| !is_wildcard(name)) {
        known_vm(call, call.vm_parameter(), name, names)?;
    }
    for parameter in ["ExcludedVhdPath", "ReplicatedDiskPaths"] {
        call.texts(parameter).iter().try_for_each(|path| call.disk(parameter, path).map(drop))?;
    }
    if call.cmdlet().verb == Verb::ResizeVhd {
        for path in call.texts("Path") {
            known_vm(call, "Path", call.disk("Path", path)?.0, names)?;
        }
    }
    if let Some(Value::Point(PointName::Back { host, vm, .. })) = call.value("VMRecoverySnapshot") {
        known_host(call, "VMRecoverySnapshot", host, names)?;
        known_vm(call, "VMRecoverySnapshot", vm, names)?;
    }
    Ok(())
}

/// The local computer, as `-ComputerName` names it.
pub(crate) fn is_local(name: &str) -> bool {
    name == "." || name.eq_ignore_ascii_case("localhost")
}

pub(crate) fn is_wildcard(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// The host of that name, or the one whose name is the first label of a full domain name.
pub(crate) fn host_named<'a>(hosts: &'a [String], name: &str) -> Option<&'a str> {
    let find = |wanted: &str| hosts.iter().find(|h| h.eq_ignore_ascii_case(wanted)).map(String::as_str);
    let label = || name.split_once('.').and_then(|(label, _)| find(label));
    find(name).or_else(label)
}

fn known_host(call: &Call, parameter: &str, name: &str, names: &Names<'_>) -> Result<(), BindError> {
    if host_named(names.hosts, name).is_some() {
        return Ok(());
    }
    let error =
        call.error_at(parameter, "InvalidParameter", format!("There is no host with name \"{name}\"."));
    if name.parse::<IpAddr>().is_ok() {
        return Err(error.help("write the host's name, not an address"));
    }
    Err(error.near(nearest(name, names.hosts.iter().map(String::as_str))))
}

fn known_vm(call: &Call, parameter: &str, name: &str, names: &Names<'_>) -> Result<(), BindError> {
    if names.vms.iter().any(|vm| vm.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = format!("Hyper-V was unable to find a virtual machine with name \"{name}\".");
    let error = call.error_at(parameter, "InvalidParameter", message);
    Err(error.near(nearest(name, names.vms.iter().map(String::as_str))))
}

impl Call {
    /// The disks that the call resizes: the machine's name and the disk's number.
    #[must_use]
    pub fn resized(&self) -> Vec<(String, u8)> {
        let paths = if self.cmdlet.verb == Verb::ResizeVhd { self.texts("Path") } else { &[] };
        paths.iter().filter_map(|path| disk_named(path)).map(|(vm, disk)| (vm.to_owned(), disk)).collect()
    }

    /// The machine and the disk that a path names.
    pub(crate) fn disk<'a>(&self, parameter: &str, path: &'a str) -> Result<(&'a str, u8), BindError> {
        disk_named(path).ok_or_else(|| {
            let message = format!("The file '{path}' is no virtual hard disk of a machine.");
            let error = self.error_at(parameter, "ObjectNotFound", message);
            error.help(format!("a machine's disks are called such as '{}'", disk_path("web01", 0)))
        })
    }

    /// The parameter that names machines: `Remove-VMSnapshot -Name` names snapshots.
    pub(crate) fn vm_parameter(&self) -> &'static str {
        match self.cmdlet.verb {
            Verb::MoveVm | Verb::GetVm | Verb::StartVm | Verb::StopVm | Verb::SaveVm | Verb::Checkpoint => {
                "Name"
            }
            _ => "VMName",
        }
    }

    /// The machines as written, wildcards included.
    pub(crate) fn vm_names(&self) -> &[String] {
        self.texts(self.vm_parameter())
    }
}
