// Dropout: y = x * mask / (1 - rate), forward on activations and, with the same stream, backward on gradients.
//
//   mask_e = 0 where word e % 4 of philox(stream, block e / 4) < floor(rate 2^32), else 1
//
// The rounds run on many blocks side by side, one array for each word, so that the compiler can put a block into
// each lane of a register.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

constexpr int lanes = 16; // blocks side by side: one AVX-512 register of 32-bit words

/// words[w][lane] = word w of block first + lane. The rounds are those of chainrule::philox.
void philox_lanes(const Stream& stream, std::uint32_t first, std::uint32_t (&words)[4][lanes]) {
  std::uint32_t key0 = static_cast<std::uint32_t>(stream.seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(stream.seed >> 32);
  const std::uint32_t tag = static_cast<std::uint32_t>(stream.purpose) << 24 | stream.layer;
  for (int lane = 0; lane < lanes; ++lane) {
    words[0][lane] = first + static_cast<std::uint32_t>(lane);
    words[1][lane] = static_cast<std::uint32_t>(stream.step);
    words[2][lane] = static_cast<std::uint32_t>(stream.step >> 32);
    words[3][lane] = tag;
  }
  for (int round = 0; round < 10; ++round, key0 += philox_weyl0, key1 += philox_weyl1) {
    for (int lane = 0; lane < lanes; ++lane) {
      const std::uint64_t product0 = philox_multiplier0 * words[0][lane];
      const std::uint64_t product1 = philox_multiplier1 * words[2][lane];
      words[0][lane] = static_cast<std::uint32_t>(product1 >> 32) ^ words[1][lane] ^ key0;
      words[1][lane] = static_cast<std::uint32_t>(product1);
      words[2][lane] = static_cast<std::uint32_t>(product0 >> 32) ^ words[3][lane] ^ key1;
      words[3][lane] = static_cast<std::uint32_t>(product0);
    }
  }
}

template <class T> void dropout(const Team& team, Stream stream, double rate, const T* x, T* y, Index n) {
  constexpr Index batch = 4 * lanes;
  const auto threshold = static_cast<std::uint32_t>(rate * 0x1p32); // rate < 1
  const T scale = static_cast<T>(1 / (1 - rate));
  const Range range = team.share(n, batch);
  if (rate == 0) { // prediction
    if (x != y) std::memcpy(y + range.begin, x + range.begin, static_cast<std::size_t>(range.size()) * sizeof(T));
    return;
  }
  std::uint32_t words[4][lanes];
  for (Index e = range.begin; e < range.end; e += batch) {
    philox_lanes(stream, static_cast<std::uint32_t>(e / 4), words);
    const Index count = range.end - e < batch ? range.end - e : batch;
    for (Index i = 0; i < count; ++i) y[e + i] = words[i % 4][i / 4] < threshold ? T(0) : x[e + i] * scale;
  }
}

} // namespace

void list_dropout(Device& device) {
  device.float32.dropout = dropout<float>;
  device.float64.dropout = dropout<double>;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
