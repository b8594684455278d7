//! The page's files. They are few and small, so they are read once at start: no request reaches the file system, and an
//! entity tag is a hash of the content, which a new image with old modification times cannot get wrong.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Bytes,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
    },
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use todo_common::problem::Problem;

/// Largest size of all files together, in bytes: they stay in memory.
const LIMIT: u64 = 16 * 1024 * 1024;
/// What is shown for `/`.
const INDEX: &str = "/index.html";

/// The files by their path. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Page(Arc<HashMap<String, File>>);

#[derive(Debug)]
struct File {
    content: Bytes,
    content_type: &'static str,
    etag: HeaderValue,
}

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or folder cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(PathBuf, #[source] io::Error),
    /// A file's name is no text.
    #[error("{0} has a name that no URL can have")]
    Name(PathBuf),
    /// More than [`LIMIT`].
    #[error("the files are larger than {LIMIT} bytes together")]
    TooLarge,
    /// The folder is another one.
    #[error("there is no index.html")]
    NoIndex,
}

impl Page {
    /// Reads all files below `root`, but no hidden ones.
    pub(crate) fn load(root: &Path) -> Result<Self, Error> {
        let mut files = HashMap::new();
        let mut left = LIMIT;
        collect(root, "", &mut files, &mut left)?;
        if files.contains_key(INDEX) { Ok(Self(Arc::new(files))) } else { Err(Error::NoIndex) }
    }

    /// The file of `path` as it is written in the URL, or 304 where the browser has it, or a 404 problem.
    pub(crate) fn answer(&self, path: &str, request: &HeaderMap) -> Response {
        let path = if path == "/" { INDEX } else { path };
        let Some(file) = self.0.get(path) else {
            return Problem::not_found("the page has no such file").into_response();
        };
        // Names stay the same from release to release, so a browser asks each time whether it has the current file.
        let caching = [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (ETAG, file.etag.clone())];
        if has_current(request, &file.etag) {
            return (StatusCode::NOT_MODIFIED, caching).into_response();
        }
        (caching, [(CONTENT_TYPE, file.content_type)], file.content.clone()).into_response()
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut HashMap<String, File>, left: &mut u64) -> Result<(), Error> {
    let failed = |error| Error::Read(folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::Name(path.clone()))?;
        if name.starts_with('.') {
            continue;
        }
        let url = format!("{prefix}/{name}");
        let unreadable = |error| Error::Read(path.clone(), error);
        // Follows links: a mounted ConfigMap consists of them.
        let metadata = fs::metadata(&path).map_err(unreadable)?;
        if metadata.is_dir() {
            collect(&path, &url, files, left)?;
        } else {
            *left = left.checked_sub(metadata.len()).ok_or(Error::TooLarge)?;
            let content = fs::read(&path).map_err(unreadable)?;
            files.insert(url, File::new(&path, content)?);
        }
    }
    Ok(())
}

impl File {
    fn new(path: &Path, content: Vec<u8>) -> Result<Self, Error> {
        let hash = hex::encode(&Sha256::digest(&content)[..16]);
        let etag = HeaderValue::try_from(format!("\"{hash}\"")).map_err(|_| Error::Name(path.to_owned()))?;
        Ok(Self { content: content.into(), content_type: content_type(path), etag })
    }
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn has_current(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let known = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|value| value.split(','))
        .map(str::trim)
        // A proxy that compresses makes a tag weak.
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes())
}
