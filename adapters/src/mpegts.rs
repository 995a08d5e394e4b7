//! The way through an MPEG transport stream (ISO/IEC 13818-1): from its tables to the units of each stream.

use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, PacketFilter, PatPacketFilter,
    PmtPacketFilter,
};
use mpeg2ts_reader::packet::{Packet, Pid};
use mpeg2ts_reader::pes::{ElementaryStreamConsumer, PesHeader, PesPacketFilter};
use mpeg2ts_reader::psi::pmt::StreamInfo;

/// Takes what is found on the way.
pub(crate) trait Streams: 'static {
    /// The place of a stream that a program map lists, and may have listed before; none for one that is not
    /// wanted.
    fn place_of(&mut self, stream: &StreamInfo<'_>) -> Option<usize>;

    /// A unit of the stream at a place begins.
    fn begin(&mut self, place: usize, header: PesHeader<'_>);

    /// More of that unit.
    fn go_on(&mut self, place: usize, data: &[u8]);
}

/// Whether these bytes begin as a transport stream does.
pub(crate) fn is_one(bytes: &[u8]) -> bool {
    let syncs = [0, Packet::SIZE].map(|at| bytes.get(at).copied());
    syncs == [Some(Packet::SYNC_BYTE); 2]
}

/// Goes through all of it.
pub(crate) fn read<S: Streams>(streams: S, bytes: &[u8]) -> S {
    let mut way = Way {
        changes: FilterChangeset::default(),
        streams,
    };
    Demultiplex::new(&mut way).push(&mut way, bytes);
    way.streams
}

struct Way<S: Streams> {
    changes: FilterChangeset<Filter<S>>,
    streams: S,
}

/// What becomes of the packets of a PID.
enum Filter<S: Streams> {
    Pat(PatPacketFilter<Way<S>>),
    Pmt(PmtPacketFilter<Way<S>>),
    Stream(PesPacketFilter<Way<S>, Place>),
    Ignored,
}

/// Of one stream.
struct Place(usize);

impl<S: Streams> PacketFilter for Filter<S> {
    type Ctx = Way<S>;

    fn consume(&mut self, way: &mut Way<S>, packet: &Packet<'_>) {
        match self {
            Self::Pat(filter) => filter.consume(way, packet),
            Self::Pmt(filter) => filter.consume(way, packet),
            Self::Stream(filter) => filter.consume(way, packet),
            Self::Ignored => {}
        }
    }
}

impl<S: Streams> DemuxContext for Way<S> {
    type F = Filter<S>;

    fn filter_changeset(&mut self) -> &mut FilterChangeset<Filter<S>> {
        &mut self.changes
    }

    fn construct(&mut self, request: FilterRequest<'_, '_>) -> Filter<S> {
        match request {
            FilterRequest::ByPid(Pid::PAT) => Filter::Pat(PatPacketFilter::default()),
            FilterRequest::Pmt {
                pid,
                program_number,
            } => Filter::Pmt(PmtPacketFilter::new(pid, program_number)),
            FilterRequest::ByStream { stream_info, .. } => {
                let place = self.streams.place_of(stream_info);
                place.map_or(Filter::Ignored, |place| {
                    Filter::Stream(PesPacketFilter::new(Place(place)))
                })
            }
            FilterRequest::ByPid(_) | FilterRequest::Nit { .. } => Filter::Ignored,
        }
    }
}

impl<S: Streams> ElementaryStreamConsumer<Way<S>> for Place {
    fn start_stream(&mut self, _: &mut Way<S>) {}

    fn begin_packet(&mut self, way: &mut Way<S>, header: PesHeader<'_>) {
        way.streams.begin(self.0, header);
    }

    fn continue_packet(&mut self, way: &mut Way<S>, data: &[u8]) {
        way.streams.go_on(self.0, data);
    }

    fn end_packet(&mut self, _: &mut Way<S>) {}

    fn continuity_error(&mut self, _: &mut Way<S>) {}
}
