//! The hours of work, in local time.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hvrsim_resync::throttle::Window;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, Zoned};

use super::{Failure, Pair};

/// How often a pause looks at the clock and for Ctrl-C.
const LOOK: Duration = Duration::from_millis(200);

/// A window with its time zone.
pub(super) struct Hours {
    window: Window,
    zone: TimeZone,
    quiet: bool,
    /// When the pause ends that was told last.
    told: Mutex<Option<Zoned>>,
}

impl Hours {
    /// None without `--window`.
    pub(super) fn new(arguments: &Pair) -> Result<Option<Self>, Failure> {
        let Some(window) = arguments.window else { return Ok(None) };
        let name = arguments.time_zone.clone().unwrap_or_else(local_zone);
        let zone = TimeZoneDatabase::bundled().get(&name).map_err(|_| {
            Failure::input(format!(
                "`{name}` is no time zone that this program knows; give one as in the IANA database with --time-zone, for \
                 instance Europe/Berlin or UTC"
            ))
        })?;
        Ok(Some(Self { window, zone, quiet: arguments.quiet, told: Mutex::new(None) }))
    }

    /// Whether work may go on now.
    pub(super) fn are_open(&self) -> bool {
        opens(&self.window, &now(&self.zone)).is_none()
    }

    /// Returns inside the hours of work, or when told to stop.
    pub(super) fn wait(&self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let Some(at) = opens(&self.window, &now(&self.zone)) else { return };
            self.tell(&at);
            std::thread::sleep(LOOK);
        }
    }

    /// Once for each pause, whichever thread comes first.
    fn tell(&self, at: &Zoned) {
        let mut told = self.told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if told.as_ref() == Some(at) {
            return;
        }
        *told = Some(at.clone());
        if !self.quiet {
            eprintln!(
                "paused: it is outside the window {}; work goes on at {}",
                self.window,
                at.strftime("%Y-%m-%d %H:%M %Z")
            );
        }
    }
}

fn now(zone: &TimeZone) -> Zoned {
    Timestamp::now().to_zoned(zone.clone())
}

/// When the window opens next; none while it is open. An hour that the clock jumps over opens behind the jump.
fn opens(window: &Window, now: &Zoned) -> Option<Zoned> {
    let minute = u32::from(now.hour().unsigned_abs()) * 60 + u32::from(now.minute().unsigned_abs());
    if window.holds(minute) {
        return None;
    }
    let (hour, minute) = window.opens_at();
    let (hour, minute) = (i8::try_from(hour).unwrap_or(0), i8::try_from(minute).unwrap_or(0));
    let on = |date: jiff::civil::Date| date.at(hour, minute, 0, 0).to_zoned(now.time_zone().clone()).ok();
    on(now.date()).filter(|at| at > now).or_else(|| on(now.date().tomorrow().ok()?))
}

/// The name of the machine's zone: TZ, the link /etc/localtime, /etc/timezone; else UTC.
fn local_zone() -> String {
    let variable = std::env::var("TZ").ok().map(|name| name.trim_start_matches(':').to_owned());
    let link = || {
        let path = std::fs::read_link("/etc/localtime").ok()?;
        Some(path.to_str()?.split_once("zoneinfo/")?.1.to_owned())
    };
    let file = || std::fs::read_to_string(Path::new("/etc/timezone")).ok().map(|name| name.trim().to_owned());
    let some = |name: &String| !name.is_empty();
    variable.filter(some).or_else(link).or_else(file).filter(some).unwrap_or_else(|| "UTC".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(window: &str, now: &str) -> Option<String> {
        let window = Window::parse(window).unwrap();
        opens(&window, &now.parse().unwrap()).map(|at| at.to_string())
    }

    #[test]
    fn a_window_opens_tonight_or_tomorrow() {
        let night = "18:30-06:00";
        assert_eq!(told(night, "2026-01-05T20:00[Europe/Berlin]"), None);
        assert_eq!(told(night, "2026-01-05T05:59[Europe/Berlin]"), None);
        let tonight = "2026-01-05T18:30:00+01:00[Europe/Berlin]";
        assert_eq!(told(night, "2026-01-05T06:00[Europe/Berlin]").as_deref(), Some(tonight));
        let tomorrow = "2026-01-06T09:00:00+01:00[Europe/Berlin]";
        assert_eq!(told("09:00-17:00", "2026-01-05T17:00[Europe/Berlin]").as_deref(), Some(tomorrow));
    }

    #[test]
    fn an_hour_that_does_not_exist_opens_behind_it() {
        // On 2026-03-29 the clock goes from 02:00 to 03:00.
        let behind = "2026-03-29T03:30:00+02:00[Europe/Berlin]";
        assert_eq!(told("02:30-06:00", "2026-03-29T01:00[Europe/Berlin]").as_deref(), Some(behind));
    }
}
