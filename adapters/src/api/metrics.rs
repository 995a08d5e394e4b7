//! Figures for Prometheus. A channel has one line of each, seven for its state, and nothing that strangers
//! say is a label: so there are as many lines as channels allow, and no more.

use super::view::{ChannelView, MachineView};
use super::{Api, channels};
use crate::cluster::hands::{Contact, Hands};
use crate::transcode::makers::MakersView;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hls_relay_core::event::Desired;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const STATES: [&str; 7] = [
    "waiting", "starting", "live", "stale", "stalled", "ended", "stopped",
];

/// Its name, what it tells, and where it is found.
type Figure<T> = (&'static str, &'static str, fn(&MachineView) -> T);
type Labels = Vec<(&'static str, String)>;
type Count = Gauge<u64, AtomicU64>;
type Seconds = Gauge<f64, AtomicU64>;

pub(super) async fn page(State(api): State<Api>) -> Response {
    // Those of other nodes are in the figures of those.
    let views = channels::own(&api.inner).await;
    let contact = api.inner.hands.as_ref().map(Hands::contact);
    let makers = api.inner.makers.view().await;
    match text(
        &api.inner.node,
        api.inner.capacity,
        &views,
        contact,
        &makers,
    ) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Gathered anew each time: the machines count, nothing is counted twice.
fn text(
    node: &str,
    capacity: usize,
    views: &[ChannelView],
    contact: Option<Contact>,
    makers: &MakersView,
) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("hls_relay");
    of_node(&mut registry, node, capacity, views);
    if let Some(contact) = contact {
        of_cluster(&mut registry, &contact);
    }
    of_makers(&mut registry, makers);
    of_channels(&mut registry, views);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn of_cluster(registry: &mut Registry, contact: &Contact) {
    let flags = [
        (
            "redis_reached",
            "1 while Redis answers",
            contact.reaches_redis,
        ),
        (
            "alone",
            "1 while no node reaches Redis and the channels go on without it",
            contact.alone,
        ),
    ];
    for (name, help, is) in flags {
        let flag = Count::default();
        flag.set(u64::from(is));
        registry.register(name, help, flag);
    }
    let left = Seconds::default();
    let until = contact.lease.as_ref().map(|it| it.until());
    let now = crate::clock::now().monotonic;
    left.set(until.map_or(0.0, |it| it.since(now).as_micros() as f64 / 1_000_000.0));
    let lost = Counter::<u64>::default();
    lost.inc_by(contact.changes_lost);
    let what = "Changes that were acknowledged by way of this node and lost with their Redis";
    registry.register("changes_lost", what, lost);
    let help = "For how long the node may show its channels as things are";
    registry.register("lease_left_seconds", help, left);
}

/// Of workers only what Redis has just told.
fn of_makers(registry: &mut Registry, makers: &MakersView) {
    let orders = makers.orders.unwrap_or_default();
    let figures = [
        (
            "transcode_slots",
            "Segments that the node transcodes at once itself, once it has to",
            Some(makers.slots as u64),
        ),
        (
            "transcode_slots_waiting",
            "Segments that wait for one of these",
            Some(makers.waiting as u64),
        ),
        (
            "workers",
            "Transcode workers that take segments, of all nodes",
            makers.orders.map(|_| orders.workers),
        ),
        (
            "transcode_waiting",
            "Segments of all nodes that no worker has taken yet",
            makers.orders.map(|_| orders.waiting),
        ),
        (
            "transcode_under_way",
            "Segments of all nodes that workers have",
            makers.orders.map(|_| orders.under_way),
        ),
    ];
    for (name, help, figure) in figures {
        if let Some(figure) = figure {
            let gauge = Count::default();
            gauge.set(figure);
            registry.register(name, help, gauge);
        }
    }
}

fn of_node(registry: &mut Registry, node: &str, capacity: usize, views: &[ChannelView]) {
    let info = Family::<Labels, Count>::default();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let labels = vec![("name", node.to_owned()), ("version", version)];
    info.get_or_create(&labels).set(1);
    registry.register("node", "The node and its version", info);
    let places = Count::default();
    places.set(capacity as u64);
    registry.register("capacity_channels", "How many channels may run", places);
    let by_state = Family::<Labels, Count>::default();
    for state in STATES {
        let count = views.iter().filter(|it| it.observed.state == state).count();
        let labels = vec![("state", state.to_owned())];
        by_state.get_or_create(&labels).set(count as u64);
    }
    registry.register("channels", "Channels of the node by state", by_state);
}

fn of_channels(registry: &mut Registry, views: &[ChannelView]) {
    let state = Family::<Labels, Count>::default();
    let desired = Family::<Labels, Count>::default();
    let revision = Family::<Labels, Count>::default();
    for view in views {
        for name in STATES {
            let labels = vec![("channel", view.id.clone()), ("state", name.to_owned())];
            let is = u64::from(view.observed.state == name);
            state.get_or_create(&labels).set(is);
        }
        let labels = vec![("channel", view.id.clone())];
        let runs = u64::from(view.desired == Desired::Run);
        desired.get_or_create(&labels).set(runs);
        revision.get_or_create(&labels).set(view.revision);
    }
    registry.register("channel_state", "1 for the state in which it is", state);
    registry.register("channel_desired_run", "1 where it should run", desired);
    registry.register("channel_revision", "Of the last change", revision);
    let machines: Vec<_> = views
        .iter()
        .filter_map(|view| Some((view, view.observed.machine.as_ref()?)))
        .collect();
    of_rungs(registry, &machines);
    of_edges(registry, &machines);
    let counters: [Figure<u64>; 5] = [
        ("segments", "Segments listed", |it| it.segments),
        ("holes", "Segments said to be lost", |it| it.holes),
        ("retries", "Requests to sources that failed", |it| {
            it.retries
        }),
        ("segments_made", "Segments with all rungs asked for", |it| {
            it.making.as_ref().map_or(0, |it| it.made)
        }),
        ("segments_missed", "Segments that lack a rung", |it| {
            it.making.as_ref().map_or(0, |it| it.missed)
        }),
    ];
    for (name, help, of) in counters {
        let family = Family::<Labels, Counter>::default();
        for (view, machine) in &machines {
            let labels = vec![("channel", view.id.clone())];
            family.get_or_create(&labels).inc_by(of(machine));
        }
        registry.register(format!("channel_{name}"), help, family);
    }
    let gauges: [Figure<Option<u64>>; 5] = [
        ("segments_in_making", "That wait for their rungs", |it| {
            it.making.as_ref().map(|it| it.segments)
        }),
        ("generation", "Whose media is listed last", |it| {
            Some(it.generation)
        }),
        ("source", "The source in use, from 0", |it| {
            Some(it.source as u64)
        }),
        ("bit_rate", "Bits per second of the listed segments", |it| {
            Some(it.bit_rate)
        }),
        ("media_sequence", "Of the last listed segment", |it| {
            it.last_media_sequence
        }),
    ];
    for (name, help, of) in gauges {
        let family = Family::<Labels, Count>::default();
        for (view, machine) in &machines {
            if let Some(value) = of(machine) {
                let labels = vec![("channel", view.id.clone())];
                family.get_or_create(&labels).set(value);
            }
        }
        registry.register(format!("channel_{name}"), help, family);
    }
    let times: [Figure<Option<u64>>; 5] = [
        ("making_waited", "Of the newest for an encoder", |it| {
            it.making.as_ref()?.waited_ms
        }),
        ("making_took", "Of the newest, for all its rungs", |it| {
            it.making.as_ref()?.took_ms
        }),
        ("making_duration", "What the newest lasts", |it| {
            it.making.as_ref()?.duration_ms
        }),
        ("newest_segment_age", "Since a segment was listed", |it| {
            it.newest_segment_age_ms
        }),
        (
            "delay",
            "From a segment's appearance to our listing it",
            |it| it.delay_ms,
        ),
    ];
    for (name, help, of) in times {
        let family = Family::<Labels, Seconds>::default();
        for (view, machine) in &machines {
            if let Some(millis) = of(machine) {
                let labels = vec![("channel", view.id.clone())];
                family.get_or_create(&labels).set(millis as f64 / 1_000.0);
            }
        }
        registry.register(format!("channel_{name}_seconds"), help, family);
    }
}

/// The names of rungs are their owner's, of a small alphabet, and few.
fn of_rungs(registry: &mut Registry, machines: &[(&ChannelView, &MachineView)]) {
    let left_out = Family::<Labels, Count>::default();
    let bandwidth = Family::<Labels, Count>::default();
    let [made, missed] = [(); 2].map(|()| Family::<Labels, Counter>::default());
    let [took, lasts] = [(); 2].map(|()| Family::<Labels, Seconds>::default());
    for (view, machine) in machines {
        for rung in &machine.rungs {
            let labels = vec![("channel", view.id.clone()), ("rung", rung.name.clone())];
            let is_out = u64::from(rung.left_out.is_some());
            left_out.get_or_create(&labels).set(is_out);
            if let Some(bits) = rung.bandwidth {
                bandwidth.get_or_create(&labels).set(bits);
            }
            let Some(making) = &rung.making else { continue };
            made.get_or_create(&labels).inc_by(making.made);
            missed.get_or_create(&labels).inc_by(making.missed);
            for (family, millis) in [(&took, making.took_ms), (&lasts, making.duration_ms)] {
                if let Some(millis) = millis {
                    family.get_or_create(&labels).set(millis as f64 / 1_000.0);
                }
            }
        }
    }
    let help = "1 where a rung is left out for a while";
    registry.register("channel_rung_left_out", help, left_out);
    let help = "BANDWIDTH in bits per second";
    registry.register("channel_rung_bandwidth", help, bandwidth);
    registry.register("channel_rung_segments_made", "That have the rung", made);
    let help = "That lack the rung, though it was asked for";
    registry.register("channel_rung_segments_missed", help, missed);
    let help = "The run that made the last segment with the rung";
    registry.register("channel_rung_took_seconds", help, took);
    let help = "What the last segment with the rung lasts";
    registry.register("channel_rung_duration_seconds", help, lasts);
}

/// Edges are counted from 0, as the spec has them: their URLs are their owner's words.
fn of_edges(registry: &mut Registry, machines: &[(&ChannelView, &MachineView)]) {
    let [warm, cold] = [(); 2].map(|()| Family::<Labels, Counter>::default());
    let failing = Family::<Labels, Count>::default();
    for (view, machine) in machines {
        for (number, edge) in machine.edges.iter().enumerate() {
            let labels = vec![("channel", view.id.clone()), ("edge", number.to_string())];
            warm.get_or_create(&labels).inc_by(edge.warm);
            cold.get_or_create(&labels).inc_by(edge.cold);
            let is_failing = u64::from(edge.failing.is_some());
            failing.get_or_create(&labels).set(is_failing);
        }
    }
    let help = "Requests of the relay after which the edge had all it should in time";
    registry.register("channel_edge_warm", help, warm);
    let help = "Those after which it had not";
    registry.register("channel_edge_cold", help, cold);
    let help = "1 where the edge was not warm in time at last";
    registry.register("channel_edge_failing", help, failing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::view::{EdgeView, MakingView, ObservedView, RungMakingView, RungView};
    use crate::spec::ChannelSpec;
    use crate::transcode::queue::Waiting;
    use hls_relay_core::node::Writer;

    #[test]
    fn no_word_of_strangers_is_in_them() {
        let view = ChannelView {
            id: "news".to_owned(),
            path: String::new(),
            spec: ChannelSpec::of(vec!["http://hunter2.example/".to_owned()]),
            desired: Desired::Run,
            revision: 7,
            writer: Writer::Api,
            unmade: None,
            observed: ObservedView {
                state: "live".to_owned(),
                reason: "hunter2\nhls_relay_capacity_channels 0".to_owned(),
                machine: Some(MachineView {
                    source_url: Some("http://hunter2.example/".to_owned()),
                    change: Some("hunter2".to_owned()),
                    delay_ms: Some(150),
                    segments: 12,
                    edges: vec![
                        EdgeView {
                            url: "http://hunter2.example/".to_owned(),
                            warm: 9,
                            cold: 4,
                            failing: Some("hunter2".to_owned()),
                        },
                        EdgeView::default(),
                    ],
                    rungs: vec![RungView {
                        name: "720p".to_owned(),
                        bandwidth: Some(2_900_000),
                        lower: None,
                        complete: false,
                        left_out: Some("hunter2".to_owned()),
                        lacks: None,
                        making: Some(RungMakingView {
                            made: 8,
                            missed: 2,
                            took_ms: Some(5_250),
                            duration_ms: Some(4_000),
                        }),
                    }],
                    making: Some(MakingView {
                        missed: 3,
                        took_ms: Some(1_500),
                        ..MakingView::default()
                    }),
                    ..MachineView::default()
                }),
                ..ObservedView::default()
            },
        };
        let makers = MakersView {
            slots: 4,
            waiting: 2,
            nobody: None,
            orders: Some(Waiting {
                workers: 5,
                waiting: 6,
                under_way: 7,
            }),
        };
        let text = text("node", 3, &[view], None, &makers).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        for line in [
            "hls_relay_capacity_channels 3",
            "hls_relay_channels{state=\"live\"} 1",
            "hls_relay_channel_state{channel=\"news\",state=\"live\"} 1",
            "hls_relay_channel_state{channel=\"news\",state=\"stale\"} 0",
            "hls_relay_channel_segments_total{channel=\"news\"} 12",
            "hls_relay_channel_delay_seconds{channel=\"news\"} 0.15",
            "hls_relay_channel_rung_left_out{channel=\"news\",rung=\"720p\"} 1",
            "hls_relay_channel_rung_bandwidth{channel=\"news\",rung=\"720p\"} 2900000",
            "hls_relay_channel_rung_segments_made_total{channel=\"news\",rung=\"720p\"} 8",
            "hls_relay_channel_rung_segments_missed_total{channel=\"news\",rung=\"720p\"} 2",
            "hls_relay_channel_rung_took_seconds{channel=\"news\",rung=\"720p\"} 5.25",
            "hls_relay_channel_rung_duration_seconds{channel=\"news\",rung=\"720p\"} 4.0",
            "hls_relay_channel_segments_missed_total{channel=\"news\"} 3",
            "hls_relay_channel_edge_warm_total{channel=\"news\",edge=\"0\"} 9",
            "hls_relay_channel_edge_cold_total{channel=\"news\",edge=\"0\"} 4",
            "hls_relay_channel_edge_failing{channel=\"news\",edge=\"0\"} 1",
            "hls_relay_channel_edge_failing{channel=\"news\",edge=\"1\"} 0",
            "hls_relay_channel_making_took_seconds{channel=\"news\"} 1.5",
            "hls_relay_transcode_slots 4",
            "hls_relay_transcode_slots_waiting 2",
            "hls_relay_workers 5",
            "hls_relay_transcode_waiting 6",
            "hls_relay_transcode_under_way 7",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
    }
}
