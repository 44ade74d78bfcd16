//! The fixed parts of a page: its head with the policy, style and script.

use std::io::{self, Write};

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
/// The interactive part of a page, hidden until script fills it.
pub(super) const STAGE: &str = include_str!("stage.html");
/// The script of a page of one dump: one module, in reading order.
const EXPLORER: &str = concat!(
    "\"use strict\";\n",
    include_str!("js/dom.js"),
    include_str!("js/theme.js"),
    include_str!("js/numbers.js"),
    include_str!("js/model.js"),
    include_str!("js/state.js"),
    include_str!("js/strip.js"),
    include_str!("js/detail.js"),
    include_str!("js/table.js"),
    include_str!("js/regions.js"),
    include_str!("js/free.js"),
    include_str!("js/threads.js"),
    include_str!("js/heaps.js"),
    include_str!("js/images.js"),
    include_str!("js/crash.js"),
    include_str!("js/main.js"),
);
/// The script of a page of tables.
const TABLES: &str = concat!(
    "\"use strict\";\n",
    include_str!("js/dom.js"),
    include_str!("js/theme.js"),
    include_str!("js/list.js"),
);

/// A page of one dump around `body`. `data` writes what the script reads, in
/// base64.
pub(super) fn explorer(
    title: &str,
    body: &str,
    data: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    out: &mut dyn Write,
) -> io::Result<()> {
    head(title, EXPLORER, out)?;
    out.write_all(body.as_bytes())?;
    out.write_all(b"<script type=\"text/plain\" id=\"data\">")?;
    data(out)?;
    out.write_all(b"</script>\n")?;
    end(EXPLORER, out)
}

/// A page of tables around `body`.
pub(super) fn tables(title: &str, body: &str, out: &mut dyn Write) -> io::Result<()> {
    head(title, TABLES, out)?;
    out.write_all(body.as_bytes())?;
    end(TABLES, out)
}

fn head(title: &str, script: &str, out: &mut dyn Write) -> io::Result<()> {
    // Nothing is loaded; only this style and this script run.
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(script),
        hash(STYLE)
    );
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n"
    )
}

fn end(script: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "<script type=\"module\">{script}</script>\n</body>\n</html>\n")
}

/// How a policy names an inline style or script.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64.encode(&Sha256::digest(text.as_bytes())))
}
