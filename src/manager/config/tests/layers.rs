//! Files above each other, and files that are none.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::*;
use crate::manager::config::ConfigFault;
use crate::manager::config::file::{Layer, Layers};

/// Why a layer cannot be read.
fn unreadable(layers: &Layers) -> ErrorKind {
    layers.load().unwrap_err().kind()
}

/// Three files in a directory of their own, and the layers that find them.
fn layers(files: [&str; 3]) -> (tempfile::TempDir, Layers) {
    let directory = tempfile::tempdir().unwrap();
    let [system, user, named] = ["system", "user", "named"].map(|name| {
        let path = directory.path().join(name);
        path.with_extension("toml")
    });
    for (path, text) in [&system, &user, &named].into_iter().zip(files) {
        fs::write(path, text).unwrap();
    }
    let layer = |path, named| Layer { path, named };
    let layers = Layers(vec![
        layer(system, false),
        layer(user, false),
        layer(named, true),
    ]);
    (directory, layers)
}

#[test]
fn a_later_layer_wins_key_by_key() {
    let (_directory, layers) = layers([
        "unknown = 'deny'\n[networks.'*']\nkind = 'other'\n[networks.wlan0]\nkind = 'wifi'\nmetered = false",
        "[networks.wlan0]\nmetered = true\n[labels.a]\nlabel = 'background'\nwithin = '1s'",
        "unknown = 'allow'\n[labels.a]\nlabel = 'interactive'",
    ]);
    let config = layers.load().unwrap();
    let wlan0 = Facts {
        kind: Some(Kind::Wifi),
        metered: Some(true),
        ..Facts::default()
    };
    // The stronger layer's pattern is tried before the weaker one's `*`.
    assert_eq!(config.networks[0], ("wlan0".to_owned(), wlan0));
    assert_eq!(config.networks[1].0, "*");
    assert!(!config.policy().unknown_denied);
    let a = config.label("a").unwrap();
    assert_eq!(a.label, "interactive".parse().unwrap());
    assert_eq!(a.within, Some(Duration::from_secs(1)));
}

#[test]
fn only_a_named_file_has_to_exist() {
    let (_directory, layers) = layers(["", "", ""]);
    let [system, user, named] = [0, 1, 2].map(|layer: usize| &layers.0[layer].path);
    fs::remove_file(system).unwrap();
    fs::remove_file(user).unwrap();
    layers.load().unwrap();
    fs::remove_file(named).unwrap();
    let error = layers.load().unwrap_err();
    let [ConfigFault::Unreadable { path, .. }] = error.faults() else {
        panic!("{error}");
    };
    assert_eq!(path, named);
    assert!(error.to_string().contains("named.toml"), "{error}");
}

// behaviour: MC-08
#[test]
fn the_faults_of_every_layer_are_told_together() {
    let (_directory, layers) = layers(["[network.a]", "unknwon = 'deny'", "[scout]\nx = 1\ny = 1"]);
    fs::remove_file(&layers.0[0].path).unwrap();
    fs::create_dir(&layers.0[0].path).unwrap();
    let error = layers.load().unwrap_err();
    let message = error.to_string();
    let told: Vec<_> = message.lines().collect();
    assert_eq!(told.len(), 4, "{message}");
    assert!(
        told[0].starts_with("cannot read the configuration "),
        "{message}"
    );
    assert!(told[0].contains("system.toml: "), "{message}");
    assert!(told[1].contains("user.toml:1:1: unknwon: "), "{message}");
    assert!(told[2].contains("named.toml:2:1: scout.x: "), "{message}");
    assert!(told[3].contains("named.toml:3:1: scout.y: "), "{message}");
    assert!(std::error::Error::source(&error).is_some());
}

// behaviour: M13
#[test]
fn rules_add_up_and_the_strongest_layers_come_first() {
    let rule = |on: &str| format!("[[policy]]\nforbid = 'any'\non = '{on}'\n");
    let texts = [
        rule("metered"),
        rule("vpn") + &rule("roaming"),
        rule("cellular"),
    ];
    let (_directory, layers) = layers([&texts[0], &texts[1], &texts[2]]);
    let config = layers.load().unwrap();
    let policy = config.policy();
    let name = |rule: &crate::label::matching::Rule| {
        let file = Path::new(rule.file()).file_stem().unwrap();
        (
            file.to_str().unwrap().to_owned(),
            rule.line(),
            rule.to_string(),
        )
    };
    let told: Vec<_> = policy.rules.iter().map(name).collect();
    let said = |file: &str, line, on| (file.to_owned(), line, format!("forbid any on {on}"));
    let expected = [
        said("named", 1, "cellular"),
        said("user", 1, "vpn"),
        said("user", 4, "roaming"),
        said("system", 1, "metered"),
    ];
    assert_eq!(told, expected);
    let files: Vec<_> = config.files().iter().map(|path| path.file_name()).collect();
    assert_eq!(
        files,
        ["system.toml", "user.toml", "named.toml"].map(|name| Some(name.as_ref()))
    );
}

#[test]
fn what_is_no_text_is_told_by_its_first_wrong_byte() {
    let (_directory, layers) = layers(["", "", ""]);
    fs::write(&layers.0[2].path, b"# \xc3\xa9\n# \xc3\xa9\xff = 1").unwrap();
    let message = layers.load().unwrap_err().to_string();
    assert!(
        message.ends_with("named.toml:2:4: this is no UTF-8"),
        "{message}"
    );
}

#[test]
fn what_is_no_plain_file_is_an_error_and_never_waited_for() {
    let (directory, mut layers) = layers(["", "", ""]);
    layers.0[2].path = directory.path().to_owned();
    assert_eq!(unreadable(&layers), ErrorKind::IsADirectory);
    #[cfg(target_os = "linux")]
    {
        let pipe = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, 0o600.into()).unwrap();
        layers.0[2].path = pipe;
        assert_eq!(unreadable(&layers), ErrorKind::InvalidInput);
        layers.0[2].path = "/dev/zero".into();
        assert_eq!(unreadable(&layers), ErrorKind::InvalidInput);
        layers.0[2].path = "/dev/null".into();
        layers.load().unwrap();
    }
}

#[test]
fn many_patterns_of_two_layers_are_joined_quickly() {
    let text: String = (0..20_000)
        .map(|i| format!("[networks.'if{i}']\n"))
        .collect();
    let (_directory, layers) = layers([&text, &text, "[networks.if7]\nmetered = true"]);
    let config = layers.load().unwrap();
    assert_eq!(config.networks.len(), 20_000);
    assert_eq!(config.networks[0].0, "if7");
    assert_eq!(config.networks[0].1.metered, Some(true));
}

#[test]
fn a_file_of_any_size_takes_a_bounded_read() {
    let (_directory, layers) = layers(["", "", ""]);
    let named = fs::File::create(&layers.0[2].path).unwrap();
    named.set_len(1 << 30).unwrap();
    assert_eq!(unreadable(&layers), ErrorKind::FileTooLarge);
}

#[test]
fn a_file_of_two_layers_is_read_once() {
    let file = Path::new("/home/me/mancom/mancom.toml");
    let home = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("/home/me"));
    let layers = Layers::from_environment(Some(file), home);
    assert_eq!(layers.paths().filter(|path| *path == file).count(), 1);
    assert!(layers.0.last().is_some_and(|layer| layer.named));
}

#[test]
fn the_environment_names_the_layers() {
    let named = |file: Option<&str>, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(same, _)| *same == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let layers = Layers::from_environment(file.map(Path::new), variable);
        let of = |named| move |layer: &&Layer| layer.named == named;
        let shown = |layer: &Layer| layer.path.display().to_string();
        let user = layers.0.iter().filter(of(false)).nth(cfg!(unix).into());
        let named = layers.0.iter().find(of(true));
        [user.map(shown), named.map(shown)]
    };
    let home = ("HOME", "/home/me");
    let asked = ("MANCOM_CONFIG", "/tmp/asked.toml");
    let some = |path: &str| Some(path.to_owned());
    assert_eq!(named(None, &[]), [None, None]);
    assert_eq!(
        named(None, &[home, asked]),
        [
            some("/home/me/.config/mancom/mancom.toml"),
            some("/tmp/asked.toml")
        ]
    );
    assert_eq!(
        named(
            Some("given.toml"),
            &[home, asked, ("XDG_CONFIG_HOME", "/xdg")]
        ),
        [some("/xdg/mancom/mancom.toml"), some("given.toml")]
    );
    let relative = ("XDG_CONFIG_HOME", "xdg");
    assert_eq!(
        named(None, &[home, relative])[0],
        some("/home/me/.config/mancom/mancom.toml")
    );
}

#[test]
fn limits_add_up_and_name_labels_of_any_layer() {
    let (_folder, layers) = layers([
        "[[limit]]\nlabel = 'ph*'\nrate = '1 MB/s'\n[state]\nfolder = '/low'",
        "[[limit]]\nlabel = 'background'\non = 'metered'\nbytes = '2 GiB'\nper = 'week'",
        "[labels.photos]\nlabel = 'large'\n[labels.phone]\nlabel = 'small'\n[state]\nfolder = '/high'",
    ]);
    let config = layers.load().unwrap();
    let limits: Vec<_> = config.limits().collect();
    let told: Vec<_> = limits.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "2 GiB a week for background on metered",
            "1 MB/s for `small` or `large` on if=*"
        ]
    );
    assert!(limits[0].file().ends_with("user.toml") && limits[0].line() == 1);
    assert_eq!(config.state_folder(), Some(&PathBuf::from("/high")));
}
