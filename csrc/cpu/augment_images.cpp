// Pictures mirrored, turned, zoomed and shifted at random: the formulas are in formulas/images.h.
//
// A picture belongs to one thread. Its numbers are made a register of neighbours at a time, by four gathers; where
// pictures are neither turned nor zoomed, by copying.
#include "cpu/operations.h"
#include "cpu/philox_lanes.h"
#include "cpu/vector_math.h"
#include "formulas/images.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

ImageMap map_of(const ImageChanges& changes, const Stream& row_stream) {
  LaneWords blocks;
  philox_lanes(row_stream, 0, blocks);
  const std::uint32_t words[image_words] = {blocks[0][0], blocks[1][0], blocks[2][0],
                                            blocks[3][0], blocks[0][1], blocks[1][1]};
  const CosineSine angle = cosine_and_sine_of_turns(Vec<double>(image_turns(changes, words)));
  return image_map(changes, words, angle.cosine.v[0], angle.sine.v[0]);
}

// Whole pixels --------------------------------------------------------------------------------------------------------

/// The pixels of a line that are seen, [begin, end) of `size`, where pixel i shows pixel first + step * i, step +-1.
Range seen_part(Index first, Index step, Index size) {
  const Index begin = step > 0 ? -first : first - size + 1, end = step > 0 ? size - first : first + 1;
  const Range part{begin > 0 ? begin : 0, end < size ? end : size};
  return part.begin < part.end ? part : Range{size, size}; // none
}

template <class T> void fill_numbers(T value, T* to, Index n) {
  for (Index i = 0; i < n; ++i) to[i] = value;
}

template <class T> void copy_pixels(const ImageChanges& changes, const ImageMap& map, const T* x, T* y) {
  const Index line = changes.width * changes.channels, channels = changes.channels;
  const auto first_row = static_cast<Index>(map.row), down = static_cast<Index>(map.row_down);
  const auto first_column = static_cast<Index>(map.column), right = static_cast<Index>(map.column_right);
  const Range rows = seen_part(first_row, down, changes.height);
  const Range columns = seen_part(first_column, right, changes.width);
  const T fill = static_cast<T>(changes.fill);
  fill_numbers(fill, y, rows.begin * line);
  for (Index r = rows.begin; r < rows.end; ++r) {
    const T* from = x + (first_row + down * r) * line + (first_column + right * columns.begin) * channels;
    T* to = y + r * line;
    fill_numbers(fill, to, columns.begin * channels);
    to += columns.begin * channels;
    if (right > 0) {
      std::memcpy(to, from, static_cast<std::size_t>(columns.size() * channels) * sizeof(T));
    } else {
      for (Index c = 0; c < columns.size(); ++c) {
        for (Index channel = 0; channel < channels; ++channel)
          to[c * channels + channel] = from[channel - c * channels];
      }
    }
    fill_numbers(fill, to + columns.size() * channels, (changes.width - columns.end) * channels);
  }
  fill_numbers(fill, y + rows.end * line, (changes.height - rows.end) * line);
}

// Between pixels ------------------------------------------------------------------------------------------------------

/// Whole numbers as integers: all here are far below 2^22, which is exact by this way in either precision, and takes
/// two instructions where AVX2 has none to convert 64 bits.
template <class T> Bits<T> integers(Vec<T> whole) {
  const Vec<T> shift(MathConstants<T>::round_to_integer);
  return (whole + shift).bits() - shift.bits();
}

/// The greatest whole number that is not above x.
template <class T> Vec<T> floor(Vec<T> x) {
  const Vec<T> shift(MathConstants<T>::round_to_integer), nearest = (x + shift) - shift;
  return select(nearest > x, nearest - Vec<T>(1), nearest);
}

/// Where places lie along one axis: the pixels before them, and the shares of the way to the next.
template <class T> struct Along {
  Bits<T> pixel;
  Vec<T> share;
  Mask<T> inside[2]; // whether that pixel, and the next, belong to the picture
};

template <class T> Along<T> along(Vec<T> place, Index size) {
  const Vec<T> before(-1), behind(size); // from there on all is filled
  place = select(place < before, before, select(place > behind, behind, place));
  const Vec<T> pixel = floor(place), next = pixel + Vec<T>(1), none(0);
  return {integers(pixel),
          place - pixel,
          {{(pixel >= none).bits & (pixel < behind).bits}, {(next >= none).bits & (next < behind).bits}}};
}

/// Columns and channels of numbers side by side in a line of pixels.
template <class T> struct LinePlaces {
  Vec<T> column, channel;
  explicit LinePlaces(Index channels) {
    for (int lane = 0; lane < Vec<T>::width; ++lane) {
      column.v[lane] = static_cast<T>(lane / channels);
      channel.v[lane] = static_cast<T>(lane % channels);
    }
  }
  /// Goes on by a register.
  void advance(Index channels) {
    const Vec<T> all(channels);
    channel = channel + Vec<T>(Vec<T>::width % channels);
    column = column + Vec<T>(Vec<T>::width / channels);
    const Mask<T> beyond = channel >= all;
    column = select(beyond, column + Vec<T>(1), column);
    channel = select(beyond, channel - all, channel);
  }
};

template <class T> void blend_pixels(const ImageChanges& changes, const ImageMap& map, const T* x, T* y) {
  const Index channels = changes.channels, line = changes.width * channels;
  const auto next_column = static_cast<typename Vec<T>::Bit>(channels);
  const auto next_row = static_cast<typename Vec<T>::Bit>(line);
  const Vec<T> fill(changes.fill), row_right(map.row_right), column_right(map.column_right);
  const LinePlaces<T> first(channels);
  for (Index r = 0; r < changes.height; ++r) {
    const Vec<T> row(map.row + map.row_down * static_cast<double>(r));
    const Vec<T> column(map.column + map.column_down * static_cast<double>(r));
    LinePlaces<T> places = first;
    each_vector<T>({0, line}, [&](Index e, auto part) {
      const Along<T> down = along<T>(row + row_right * places.column, changes.height);
      const Along<T> right = along<T>(column + column_right * places.column, changes.width);
      const Bits<T> corner = down.pixel * next_row + right.pixel * next_column + integers(places.channel);
      const Vec<T> seen = between_pixels(down.share, right.share, [&](int i, int j) {
        const Mask<T> inside{down.inside[i].bits & right.inside[j].bits};
        return gather(x, corner + (i * next_row + j * next_column), inside, fill);
      });
      store(seen, y + r * line + e, part);
      places.advance(channels);
    });
  }
}

template <class T>
void augment_images(const Team& team, const ImageChanges& changes, Stream stream, RowNumbers numbers,
                    const MatrixView<const T>& x, const MatrixView<T>& y) {
  const Range share = team.share(x.rows);
  for (Index i = share.begin; i < share.end; ++i) {
    const ImageMap map = map_of(changes, stream_of_row(stream, numbers[i]));
    if (changes.whole_pixels()) {
      copy_pixels(changes, map, x.row(i), y.row(i));
    } else {
      blend_pixels(changes, map, x.row(i), y.row(i));
    }
  }
}

} // namespace

void list_augment_images(Device& device) {
  device.float32.augment_images = augment_images<float>;
  device.float64.augment_images = augment_images<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
