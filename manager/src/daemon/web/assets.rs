//! The files of the page, as they are in `manager/web/`. Nothing is loaded from elsewhere.

/// A file, by its address: its type and what is in it.
pub fn find(path: &str) -> Option<(&'static str, &'static [u8])> {
    const SCRIPT: &str = "text/javascript; charset=utf-8";
    const STYLE: &str = "text/css; charset=utf-8";
    macro_rules! file {
        ($kind:expr, $name:literal) => {
            Some(($kind, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $name)).as_slice()))
        };
    }
    match path {
        "/" => file!("text/html; charset=utf-8", "index.html"),
        "/style.css" => file!(STYLE, "style.css"),
        "/main.js" => file!(SCRIPT, "main.js"),
        "/dom.js" => file!(SCRIPT, "dom.js"),
        "/session.js" => file!(SCRIPT, "session.js"),
        "/figures.js" => file!(SCRIPT, "figures.js"),
        "/table.js" => file!(SCRIPT, "table.js"),
        "/detail.js" => file!(SCRIPT, "detail.js"),
        "/charts.js" => file!(SCRIPT, "charts.js"),
        "/logs.js" => file!(SCRIPT, "logs.js"),
        "/actions.js" => file!(SCRIPT, "actions.js"),
        "/icon.svg" => file!("image/svg+xml", "icon.svg"),
        "/vendor/uplot.js" => file!(SCRIPT, "vendor/uPlot.iife.min.js"),
        "/vendor/uplot.css" => file!(STYLE, "vendor/uPlot.min.css"),
        _ => None,
    }
}
