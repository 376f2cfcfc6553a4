//! Where figures come from: the machine, and the build.

use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Machine {
    commit: &'static str,
    version: &'static str,
    build: &'static str,
    cpu: String,
    cores: usize,
    memory_mib: u64,
    system: String,
}

impl Machine {
    pub fn of_this_process() -> Self {
        Self {
            commit: env!("LANDFALL_COMMIT"),
            version: env!("CARGO_PKG_VERSION"),
            build: env!("LANDFALL_PROFILE"),
            cpu: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_mib: memory_kib().unwrap_or(0) / 1024,
            system: system(),
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let Self { commit, version, build, cpu, cores, memory_mib, system } = self;
        vec![
            format!("machine  {cpu}, {cores} cores, {memory_mib} MiB, {system}"),
            format!("commit   {commit} (landfall {version}, {build} build)"),
        ]
    }
}

/// The value of the first `name: value` in a file of such lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let values = text.lines().filter_map(|line| line.split_once(':'));
    let mut named = values.filter(|(found, _)| found.trim() == name);
    named.next().map(|(_, value)| value.trim().to_owned())
}

fn memory_kib() -> Option<u64> {
    field("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()
}

fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {} {}", std::env::consts::OS, release.trim(), std::env::consts::ARCH)
}
