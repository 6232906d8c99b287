//! ModemManager (`org.freedesktop.ModemManager1`, its D-Bus reference 1.20): whose network a modem
//! is in, and how well it hears it.

use super::bus::{Bus, Service, Trouble};
use super::objects::{Objects, Properties};
use super::{Told, is_name};
use crate::network::{Fact, Kind};
use crate::scout::hearsay::Saying;

const MODEM: &str = "org.freedesktop.ModemManager1.Modem";
const MODEM_3GPP: &str = "org.freedesktop.ModemManager1.Modem.Modem3gpp";
const BEARER: &str = "org.freedesktop.ModemManager1.Bearer";

pub(super) const INTERFACES: [&str; 3] = [MODEM, MODEM_3GPP, BEARER];
pub(super) const PROPERTIES: [&str; 4] =
    ["Bearers", "Interface", "RegistrationState", "SignalQuality"];

/// So many bearers are asked after, of all modems together: no object manager has them.
const BEARERS: usize = 64;

/// Reads everything there is.
pub(super) async fn read(bus: &Bus, service: &Service) -> Result<Told, Trouble> {
    let root = "/org/freedesktop/ModemManager1";
    let answer = bus.objects(service, root).await?;
    let body = answer.body();
    let objects: Objects<'_> = body.deserialize()?;
    let mut told = Told::default();
    let mut bearers = Vec::new();
    for (path, modem) in objects.with(MODEM) {
        bearers.extend(modem.texts("Bearers").iter().map(|bearer| (path, *bearer)));
    }
    bearers.truncate(BEARERS);
    for (modem, bearer) in bearers {
        let answer = match bus.properties(service, bearer, BEARER).await {
            Ok(answer) => answer,
            // It may be gone by now.
            Err(Trouble::Bus(_)) => continue,
            Err(trouble) => return Err(trouble),
        };
        let body = answer.body();
        say(
            &objects,
            modem,
            &body.deserialize()?,
            service.is_here,
            &mut told,
        );
    }
    Ok(told)
}

/// A bearer has no interface while it carries nothing.
fn say(
    objects: &Objects<'_>,
    modem: &str,
    bearer: &Properties<'_>,
    is_here: Option<bool>,
    told: &mut Told,
) {
    let Some(name) = bearer.text("Interface") else {
        return;
    };
    if !is_name(name) {
        told.ignored += 1;
        return;
    }
    let quality = objects.get(MODEM, modem);
    let quality = quality.and_then(|modem| modem.number("SignalQuality"));
    let saying = Saying {
        kind: Some(Kind::Cellular),
        roaming: objects.get(MODEM_3GPP, modem).and_then(roaming),
        signal: quality.and_then(super::percent),
        ..Saying::default()
    };
    told.say(name, saying, is_here);
}

/// By `MMModem3gppRegistrationState`, also where only calls would fall back to an older network.
fn roaming(modem: &Properties<'_>) -> Option<Fact> {
    match modem.number("RegistrationState")? {
        1 | 9 => Some(Fact::No),
        5 | 10 => Some(Fact::Yes),
        _ => None,
    }
}
