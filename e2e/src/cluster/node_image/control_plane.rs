//! The images of the control plane, from programs that were built here. They bear the names that kubeadm asks for; etcd's
//! and the name server's content is newer than their tags say.

use std::{
    collections::BTreeSet,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Build, ControlPlaneImages, Error, Settings, make_empty};
use crate::cluster::archive::Image;

/// Writes an archive of each image.
pub(super) async fn pack(build: &Build<'_>, images: &ControlPlaneImages) -> Result<Vec<PathBuf>, Error> {
    let folder = build.work.join("images");
    make_empty(&folder)?;
    let mut archives = Vec::new();
    let mut write = |name: &str, image: Image| {
        let archive = folder.join(format!("{name}.tar"));
        image.write(&archive)?;
        archives.push(archive);
        Ok::<_, Error>(())
    };

    let pause = build.work.join("pause");
    let compile = build.command("gcc").args(["-Os", "-static", "-s", "-o"]).arg(&pause);
    build.run("compiling pause", compile.arg(Settings::assets().join("pause.c"))).await?;
    write("pause", Image::new(images.of("pause")?).program(&pause, "/pause").entrypoint("/pause"))?;

    for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
        let program = build.tools.kubernetes().join(component);
        write(component, Image::new(images.of(component)?).program(program, format!("/usr/local/bin/{component}")))?;
    }
    write("etcd", Image::new(images.of("etcd")?).program(build.tools.etcd(), "/usr/local/bin/etcd"))?;
    let coredns = Image::new(images.of("coredns")?).program(build.tools.coredns(), "/coredns");
    write("coredns", coredns.entrypoint("/coredns"))?;

    let tree = proxy_tree(build).await?;
    let proxy = Image::new(images.of("kube-proxy")?).tree(tree);
    let program = build.tools.kubernetes().join("kube-proxy");
    write("kube-proxy", proxy.program(program, "/usr/local/bin/kube-proxy"))?;
    Ok(archives)
}

/// kube-proxy calls iptables: its programs, its modules, and every library of either. A missing one shows late and badly:
/// without libm, which the module for picking one of several endpoints wants, no Service is ever set up again while
/// every pod looks well.
async fn proxy_tree(build: &Build<'_>) -> Result<PathBuf, Error> {
    let tree = build.work.join("proxy");
    make_empty(&tree)?;
    for folder in ["etc", "run", "usr/bin", "usr/sbin", "usr/local/bin", "usr/lib"] {
        let folder = tree.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    for folder in ["lib", "lib64", "bin", "sbin"] {
        let (target, link) = (format!("usr/{folder}"), tree.join(folder));
        std::fs::create_dir_all(tree.join(&target)).map_err(Error::file(&link))?;
        symlink(target, &link).map_err(Error::file(&link))?;
    }
    let mut wanted: BTreeSet<PathBuf> = libraries(build).await?;
    for program in ["xtables-nft-multi", "xtables-legacy-multi"] {
        wanted.insert(Path::new("/usr/sbin").join(program));
    }
    for data in ["/etc/protocols", "/etc/services"] {
        wanted.insert(PathBuf::from(data));
    }
    for path in wanted.iter().filter_map(|path| path.strip_prefix("/").ok()) {
        let (from, to) = (build.root.join(path), tree.join(path));
        if !from.exists() {
            continue;
        }
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        }
        std::fs::copy(&from, &to).map_err(Error::file(&from))?;
    }
    for version in ["iptables", "ip6tables"] {
        for form in ["", "-save", "-restore"] {
            let link = tree.join("usr/sbin").join(format!("{version}{form}"));
            symlink("xtables-nft-multi", &link).map_err(Error::file(&link))?;
        }
    }
    Ok(tree)
}

/// iptables' modules and all libraries that they and its programs load, as paths in the node's root.
async fn libraries(build: &Build<'_>) -> Result<BTreeSet<PathBuf>, Error> {
    let script = "modules=$(echo /usr/lib/*-linux-gnu/xtables/*.so); echo \"$modules\" | tr ' ' '\\n'; \
                  ldd /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi $modules";
    let listed = build.command("chroot").arg(&build.root).args(["sh", "-c", script]);
    let listed = build.run("listing iptables' libraries", listed).await?;
    let words = listed.split_whitespace().map(|word| word.trim_end_matches(':'));
    Ok(words.filter(|word| word.starts_with('/') && word.contains(".so")).map(PathBuf::from).collect())
}
