//! Packs programs as container images without any container engine: one layer in the format of `docker save`.
//!
//! Equal content gives equal images, so loading one again costs nothing.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header, HeaderMode};

use super::Error;

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image to be written.
#[derive(Debug)]
pub struct Image {
    reference: String,
    tree: Option<PathBuf>,
    programs: Vec<(PathBuf, String)>,
    entrypoint: Option<Vec<String>>,
    user: &'static str,
}

impl Image {
    /// An image with nothing in it but `/etc/passwd`, `/etc/group` and `/tmp`, run as root.
    pub fn new(reference: impl Into<String>) -> Self {
        Self { reference: reference.into(), tree: None, programs: Vec::new(), entrypoint: None, user: "0:0" }
    }

    /// Adds a folder's content as the root of the image.
    #[must_use]
    pub fn tree(mut self, folder: impl Into<PathBuf>) -> Self {
        self.tree = Some(folder.into());
        self
    }

    /// Adds a program of the host at a path in the image. It must be statically linked, or the tree has its libraries.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        self.programs.push((program.into(), path.into().trim_start_matches('/').to_owned()));
        self
    }

    /// Sets the program that is run.
    #[must_use]
    pub fn entrypoint(mut self, program: impl Into<String>) -> Self {
        self.entrypoint = Some(vec![program.into()]);
        self
    }

    /// Runs it as the user and group 65532, which distroless images call `nonroot`.
    #[must_use]
    pub fn nonroot(mut self) -> Self {
        self.user = "65532:65532";
        self
    }

    /// Writes the image to a file that `docker load`, `kind load image-archive` and `ctr images import` read.
    pub fn write(&self, out: &Path) -> Result<(), Error> {
        let layer = out.with_extension("layer");
        let written = self.write_layer(&layer).and_then(|id| self.write_archive(&layer, &id, out));
        let _ = std::fs::remove_file(&layer);
        written.map_err(Error::file(out))
    }

    fn write_layer(&self, path: &Path) -> std::io::Result<String> {
        let mut layer = Builder::new(Hashed { inner: File::create(path)?, hash: Sha256::new() });
        layer.mode(HeaderMode::Deterministic);
        layer.follow_symlinks(false);
        if let Some(tree) = &self.tree {
            layer.append_dir_all("", tree)?;
        }
        folder(&mut layer, "etc/", 0o755)?;
        folder(&mut layer, "tmp/", 0o1777)?;
        // Without these a container's group is 0, which Dapr refuses, and name look-ups of users fail.
        let passwd = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
        let group = "root:x:0:\nnonroot:x:65532:\n";
        file(&mut layer, "etc/passwd", 0o644, passwd.len() as u64, passwd.as_bytes())?;
        file(&mut layer, "etc/group", 0o644, group.len() as u64, group.as_bytes())?;
        for (program, path) in &self.programs {
            let program = File::open(program)?;
            file(&mut layer, path, 0o755, program.metadata()?.len(), program)?;
        }
        let mut hashed = layer.into_inner()?;
        hashed.inner.flush()?;
        Ok(hex::encode(hashed.hash.finalize()))
    }

    fn write_archive(&self, layer: &Path, id: &str, out: &Path) -> std::io::Result<()> {
        let mut process = serde_json::json!({"User": self.user, "WorkingDir": "/", "Env": [PATH]});
        if let Some(entrypoint) = &self.entrypoint {
            process["Entrypoint"] = serde_json::json!(entrypoint);
        }
        let config = serde_json::to_vec(&serde_json::json!({
            "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            "os": "linux",
            "config": process,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{id}")]},
            "history": [],
        }))?;
        let config_name = format!("{}.json", hex::encode(Sha256::digest(&config)));
        let manifest = serde_json::to_vec(&serde_json::json!([
            {"Config": config_name, "RepoTags": [self.reference], "Layers": ["layer.tar"]}
        ]))?;
        let mut archive = Builder::new(File::create(out)?);
        file(&mut archive, &config_name, 0o644, config.len() as u64, config.as_slice())?;
        file(&mut archive, "manifest.json", 0o644, manifest.len() as u64, manifest.as_slice())?;
        let mut layer = File::open(layer)?;
        let length = layer.metadata()?.len();
        layer.rewind()?;
        file(&mut archive, "layer.tar", 0o644, length, layer)?;
        archive.into_inner()?.flush()
    }
}

fn file<W: Write>(to: &mut Builder<W>, path: &str, mode: u32, size: u64, data: impl Read) -> std::io::Result<()> {
    let mut header = header(EntryType::Regular, mode);
    header.set_size(size);
    to.append_data(&mut header, path, data)
}

fn folder<W: Write>(to: &mut Builder<W>, path: &str, mode: u32) -> std::io::Result<()> {
    to.append_data(&mut header(EntryType::Directory, mode), path, std::io::empty())
}

/// All belongs to root and has no time, so that only content counts.
fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

struct Hashed {
    inner: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(data)?;
        self.hash.update(&data[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_content_gives_equal_images() {
        let folder = std::env::temp_dir().join(format!("todo-archive-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("program");
        std::fs::write(&program, "content").unwrap();
        let write = |name: &str| {
            let out = folder.join(name);
            Image::new("test/image:1").program(&program, "/program").entrypoint("/program").write(&out).unwrap();
            std::fs::read(out).unwrap()
        };
        let (first, second) = (write("first.tar"), write("second.tar"));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(first == second);
    }
}
