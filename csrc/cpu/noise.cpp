// Gaussian noise: y = x + deviation * N(0, 1), with the normal numbers of G. Box and M. Muller (1958).
//
// Element e takes its words from block e / 4 of the stream, of which words 0 and 1 make elements 0 and 1 of the four,
// words 2 and 3 the others:
//
//   u0 = (w0 + 1/2) / 2^32,  u1 = w1 / 2^32,  r = sqrt(-2 log u0);     r cos(2 pi u1),  r sin(2 pi u1)
//
// noise_rows has such a stream for each row, whose blocks are counted from its first element.
//
// All in double precision, so that both precisions get the same noise to within the rounding of y.
#include "cpu/operations.h"
#include "cpu/philox_lanes.h"
#include "cpu/vector_math.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// One normal number for each word of 16 blocks, in the same places.
using LaneNormals = double[4][philox_width];

/// Words as numbers below 1, in units of 2^-32; `lane` is the first of a register of them.
Vec<double> from_words(const LaneWords& words, int word, int lane) {
  typedef std::uint32_t Words __attribute__((vector_size(sizeof(std::uint32_t) * Vec<double>::width)));
  Words whole;
  std::memcpy(&whole, &words[word][lane], sizeof whole);
  return Vec<double>(__builtin_convertvector(whole, Vec<double>::Numbers));
}

void normals_of(const LaneWords& words, LaneNormals& normals) {
  const Vec<double> unit(0x1p-32), half(0.5);
  for (int pair = 0; pair < 4; pair += 2) {
    for (int lane = 0; lane < philox_width; lane += Vec<double>::width) {
      const Vec<double> u0 = (from_words(words, pair, lane) + half) * unit;
      const Vec<double> u1 = from_words(words, pair + 1, lane) * unit;
      const Vec<double> r = sqrt(Vec<double>(-2) * log(u0));
      const CosineSine angle = cosine_and_sine_of_turns(u1);
      store(r * angle.cosine, &normals[pair][lane]);
      store(r * angle.sine, &normals[pair + 1][lane]);
    }
  }
}

template <class T> void add_noise(const Team& team, Stream stream, double deviation, const T* x, T* y, Index n) {
  const Range range = team.share(n, philox_elements);
  LaneWords words;
  LaneNormals normals;
  for (Index e = range.begin; e < range.end; e += philox_elements) {
    philox_lanes(stream, static_cast<std::uint32_t>(e / 4), words);
    normals_of(words, normals);
    const Index count = range.end - e < philox_elements ? range.end - e : philox_elements;
    for (Index i = 0; i < count; ++i) {
      y[e + i] = static_cast<T>(static_cast<double>(x[e + i]) + deviation * normals[i % 4][i / 4]);
    }
  }
}

/// A row is often shorter than what philox_lanes makes at a time: hence blocks of several rows side by side.
template <class T>
void noise_rows(const Team& team, Stream stream, double deviation, RowNumbers numbers, const MatrixView<const T>& x,
                const MatrixView<T>& y) {
  const Index blocks = (x.cols + 3) / 4; // of a row
  const Range share = team.share(x.rows * blocks, philox_width);
  if (share.begin == share.end) return;
  const Stream epoch = stream_of_row(stream, 0);
  Index row = share.begin / blocks, block = share.begin % blocks;
  Index rows[philox_width], firsts[philox_width]; // of each lane: the row, the first element there
  auto next = [&] {
    if (++block < blocks) return;
    block = 0;
    ++row;
  };
  LaneWords words;
  LaneNormals normals;
  for (Index begin = share.begin; begin < share.end; begin += philox_width) {
    const Index count = share.end - begin < philox_width ? share.end - begin : philox_width;
    for (Index lane = 0; lane < philox_width; ++lane) {
      rows[lane] = row;
      firsts[lane] = 4 * block;
      if (lane + 1 < count) next(); // lanes beyond the last repeat it
    }
    auto of_rows = [&](int lane, std::uint64_t& number, std::uint64_t& step) {
      number = static_cast<std::uint64_t>(firsts[lane] / 4);
      step = static_cast<std::uint64_t>(numbers[rows[lane]]);
    };
    philox_blocks(epoch, of_rows, words);
    normals_of(words, normals);
    for (Index lane = 0; lane < count; ++lane) {
      const T* from = x.row(rows[lane]);
      T* to = y.row(rows[lane]);
      for (Index k = 0, j = firsts[lane]; k < 4 && j < x.cols; ++k, ++j) {
        to[j] = static_cast<T>(static_cast<double>(from[j]) + deviation * normals[k][lane]);
      }
    }
    next();
  }
}

} // namespace

void list_noise(Device& device) {
  device.float32.add_noise = add_noise<float>;
  device.float64.add_noise = add_noise<double>;
  device.float32.noise_rows = noise_rows<float>;
  device.float64.noise_rows = noise_rows<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
