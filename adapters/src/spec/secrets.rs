//! What of a spec is shown, and how a spec that was shown is written back: what stands masked in it keeps
//! its secret.

use super::headers::names;
use super::preload::{EdgeSpec, mask_body, mask_edge, mask_header};
use super::{ChannelSpec, SpecFault};
use crate::mask::{MASKED, mask_url};
use url::Url;

impl ChannelSpec {
    /// The same without secrets: passwords and query values in URLs, and the values of headers.
    pub fn masked(&self) -> Self {
        let each = |texts: &[String]| texts.iter().map(|it| mask_header(it)).collect();
        let own = self.headers_for.iter();
        Self {
            sources: self.sources.iter().map(|url| mask_url(url)).collect(),
            headers: each(&self.headers),
            headers_for: own
                .map(|(host, texts)| (host.clone(), each(texts)))
                .collect(),
            preload: self.preload.iter().map(EdgeSpec::masked).collect(),
            ..self.clone()
        }
    }

    /// The same with the secrets of the present spec where it shows them masked.
    ///
    /// # Errors
    /// The first field with a mask that stands for nothing known.
    pub fn unmasked(mut self, present: Option<&Self>) -> Result<Self, SpecFault> {
        let known = present.map_or(&[][..], |it| &it.sources);
        for (index, url) in self.sources.iter_mut().enumerate() {
            unmask(url, known, mask_url, || format!("sources[{index}]"))?;
        }
        let strangers = strangers(&self.sources, known);
        let known = present.map_or(&[][..], |it| &it.headers);
        for (index, header) in self.headers.iter_mut().enumerate() {
            let field = || format!("headers[{index}]");
            unmask_for(&strangers, header, known, field)?;
        }
        for (host, headers) in &mut self.headers_for {
            let known = present.and_then(|it| it.headers_for.get(host));
            let known = known.map_or(&[][..], |it| it);
            let of_host: Vec<Url> = strangers
                .iter()
                .filter(|it| names(it, host))
                .cloned()
                .collect();
            for (index, header) in headers.iter_mut().enumerate() {
                let field = || format!("headers_for.{host}[{index}]");
                unmask_for(&of_host, header, known, field)?;
            }
        }
        let known = present.map_or(&[][..], |it| &it.preload);
        let urls: Vec<_> = known.iter().map(|it| it.url.clone()).collect();
        for (index, edge) in self.preload.iter_mut().enumerate() {
            unmask(&mut edge.url, &urls, mask_edge, || {
                format!("preload[{index}].url")
            })?;
            // Several may have one URL; then the place tells which one is meant.
            let same = |it: &&EdgeSpec| it.url == edge.url;
            let of_place = known.get(index).filter(same);
            let of_edge = of_place.or_else(|| known.iter().find(same));
            let known = of_edge.map_or(&[][..], |it| &it.headers);
            for (place, header) in edge.headers.iter_mut().enumerate() {
                let field = || format!("preload[{index}].headers[{place}]");
                unmask(header, known, mask_header, field)?;
            }
            if let Some(body) = &mut edge.body {
                let known: Vec<_> = of_edge
                    .into_iter()
                    .filter_map(|it| it.body.clone())
                    .collect();
                let field = || format!("preload[{index}].body");
                unmask(body, &known, mask_body, field)?;
            }
        }
        Ok(self)
    }
}

/// The sources at origins that the present sources are not at.
fn strangers(sources: &[String], known: &[String]) -> Vec<Url> {
    let urls =
        |texts: &[String]| -> Vec<Url> { texts.iter().filter_map(|it| it.parse().ok()).collect() };
    let known: Vec<_> = urls(known).iter().map(Url::origin).collect();
    let mut strangers = urls(sources);
    strangers.retain(|it| !known.contains(&it.origin()));
    strangers
}

/// What goes to a source keeps its secret where no stranger would be told it: whoever may change a source must
/// not learn by that what nobody shows.
fn unmask_for(
    strangers: &[Url],
    header: &mut String,
    known: &[String],
    field: impl Fn() -> String,
) -> Result<(), SpecFault> {
    let masked = header.clone();
    unmask(header, known, mask_header, &field)?;
    match strangers.first() {
        Some(stranger) if *header != masked => {
            let to = stranger.origin().ascii_serialization();
            let why = format!(
                "'{MASKED}' stands for a secret of the present spec, which {to} has not been told: write it out"
            );
            Err(SpecFault::new(field(), why))
        }
        Some(_) | None => Ok(()),
    }
}

fn unmask(
    text: &mut String,
    known: &[String],
    mask: impl Fn(&str) -> String,
    field: impl Fn() -> String,
) -> Result<(), SpecFault> {
    if !text.contains(MASKED) || known.contains(text) {
        return Ok(());
    }
    let mut meant = known.iter().filter(|it| mask(it) == *text);
    match (meant.next(), meant.next()) {
        (Some(secret), None) => {
            text.clone_from(secret);
            Ok(())
        }
        (None, _) => Err(SpecFault::new(
            field(),
            format!(
                "'{MASKED}' stands for a secret of the present spec, and it has none there: write it out"
            ),
        )),
        (Some(_), Some(_)) => Err(SpecFault::new(
            field(),
            format!("'{MASKED}' could stand for several secrets of the present spec: write it out"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secretive() -> ChannelSpec {
        let mut spec = ChannelSpec::of(vec![
            "https://me:pw@a.example/ch.m3u8?token=abc".to_owned(),
            "https://b.example/ch.m3u8".to_owned(),
        ]);
        spec.headers = vec!["Authorization: Bearer abc".to_owned()];
        spec.headers_for = [("b.example".to_owned(), vec!["X-Key: abc".to_owned()])].into();
        spec
    }

    #[test]
    fn what_is_shown_has_no_secret_and_can_be_written_back() {
        let spec = secretive();
        let shown = spec.masked();
        let text = serde_json::to_string(&shown).unwrap();
        assert!(!text.contains("abc") && !text.contains("pw"), "{text}");
        assert!(text.contains("X-Key: ***"), "{text}");
        assert_eq!(shown.unmasked(Some(&spec)), Ok(spec));
    }

    #[test]
    fn a_source_elsewhere_is_not_told_what_stands_masked() {
        let spec = secretive();
        let with = |source: &str| {
            let mut moved = spec.masked();
            moved.sources[0] = source.to_owned();
            moved
        };
        let faults = |moved: ChannelSpec| moved.unmasked(Some(&spec)).map_err(|it| it.field);
        let same = faults(with("https://a.example/other.m3u8")).unwrap();
        assert_eq!(same.headers, spec.headers);
        for elsewhere in [
            "https://c.example/ch.m3u8",
            "http://a.example/ch.m3u8",
            "https://a.example:8443/ch.m3u8",
        ] {
            assert_eq!(
                faults(with(elsewhere)),
                Err("headers[0]".to_owned()),
                "{elsewhere}"
            );
            let mut written = with(elsewhere);
            written.headers.clone_from(&spec.headers);
            assert_eq!(faults(written).unwrap().headers_for, spec.headers_for);
        }
        let mut of_host = with("https://b.example:8443/ch.m3u8");
        of_host.headers.clear();
        assert_eq!(faults(of_host), Err("headers_for.b.example[0]".to_owned()));
    }

    #[test]
    fn a_mask_that_stands_for_nothing_is_refused_with_its_field() {
        let spec = secretive();
        let mut moved = spec.masked();
        moved.sources[0] = "https://***@c.example/ch.m3u8?token=***".to_owned();
        let fault = moved.unmasked(Some(&spec)).unwrap_err();
        assert_eq!(fault.field, "sources[0]");
        let fault = spec.masked().unmasked(None).unwrap_err();
        assert_eq!(fault.field, "sources[0]");
        let mut two = spec.clone();
        two.headers.push("Authorization: Bearer abcd".to_owned());
        let fault = two.masked().unmasked(Some(&two)).unwrap_err();
        assert_eq!(fault.field, "headers[0]");
        assert!(fault.why.contains("several"), "{fault}");
    }
}
