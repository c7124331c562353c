// One tile of a narrow network's step: what a block of threads makes of some rows of a batch, from x to the gradients,
// with everything between the layers in shared memory.
//
//   forward    z = h' W + b          h = g(z)                          h' the layer below, at first x
//   loss       dz = dL/dp * g'       of the last layer, p = h
//   backward   dW = h'^T dz          db = sum of dz over rows          dz' = dz W^T * g'(h')
//
// Arrays lie on their side: the rows of a feature are neighbours, in groups of four that are read as one, and a feature
// is followed by four numbers that nobody uses, so that 8 neighbouring features, at the same rows, are on 8 different
// groups of banks. dz lies where h lay: nobody needs h once dW of the layer above is done. Beyond the rows of the
// batch, and beyond the width of a layer, all arrays hold 0.
//
// Weights come into shared memory by panels, while those before are multiplied.
#pragma once

#include "cuda/cross_entropy_row.h"
#include "cuda/narrow_plan.h"

namespace chainrule::cuda {

/// g'(z) from h = g(z), the formula being chosen at run time.
template <class T> __device__ T activation_slope(Activation activation, T h) {
  [[maybe_unused]] const double a = activation.a;
  switch (activation.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ActivationKind::name:                                                                                           \
    return (formula).slope(Number<T>(h)).v;
    CHAINRULE_ACTIVATIONS(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
  return h;
}

/// A loss of one element, l(p, y), and its derivative by p.
template <class T> struct LossAndSlope { T loss, slope; };
template <class T> __device__ LossAndSlope<T> element_loss_of(ElementLoss loss, T p, T y) {
  [[maybe_unused]] const double a = loss.a;
  const Number<T> prediction(p), target(y);
  switch (loss.kind) {
#define CHAINRULE_LINE(name, formula)                                                                                  \
  case ElementLossKind::name:                                                                                          \
    return {(formula).value(prediction, target).v, (formula).slope(prediction, target).v};
    CHAINRULE_ELEMENT_LOSSES(CHAINRULE_LINE)
#undef CHAINRULE_LINE
  }
  return {p, p};
}

/// One thread's share of the panels of W, on their way from memory to shared memory: lines of `width` numbers, which
/// are 0 beyond W.
template <class T, int width> class WeightCarrier {
  static constexpr int step = block_threads / width; // lines
  static constexpr int count = narrow_width * panel_terms<T> / block_threads;

public:
  __device__ WeightCarrier(const T* weight, int stride)
      : weight_(weight), stride_(stride), line_(static_cast<int>(threadIdx.x) / width),
        column_(static_cast<int>(threadIdx.x) % width) {}

  /// Asks for the panel that begins there, of which so many lines and columns are left.
  __device__ void load(int first_line, int first_column, int lines_left, int columns_left) {
    CHAINRULE_UNROLLED
    for (int k = 0; k < count; ++k) {
      const int line = line_ + k * step;
      const bool exists = line < lines_left && column_ < columns_left;
      carried_[k] = exists ? weight_[(first_line + line) * stride_ + first_column + column_] : T(0);
    }
  }

  /// Puts it into shared memory.
  __device__ void store(T* panel, int pitch) const {
    CHAINRULE_UNROLLED
    for (int k = 0; k < count; ++k) panel[(line_ + k * step) * pitch + column_] = carried_[k];
  }

private:
  const T* weight_;
  int stride_, line_, column_;
  T carried_[count];
};

/// Which sums of a product (rows of the tile, columns) are a thread's: `groups` groups of four rows, and four columns
/// of the 16 of its warp. The lanes of a warp lie 8 x 4.
template <int groups> struct SumsPlace {
  int row, apart;    // the first row, and how far the groups are apart
  int columns, lane; // the first column of the warp, and which four: 0 .. 3

  __device__ explicit SumsPlace(int rows) : apart(rows / groups) {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / warp_threads;
    const int warps_down = rows / (8 * narrow_group * groups);
    row = (warp % warps_down * 8 + thread % 8) * narrow_group;
    columns = warp / warps_down * 16;
    lane = thread % warp_threads / 8;
  }
};

/// Which elements of the tile's rows are a thread's, where a whole row has to be known: of one row, all, where there
/// are as many rows as threads; else every eighth, and 8 lanes have 4 rows, whose numbers are on 32 different banks.
class RowLanes {
public:
  __device__ explicit RowLanes(int rows) {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % warp_threads;
    const bool shares = rows < block_threads;
    row = shares ? thread / warp_threads * 4 + lane % 4 : thread;
    rows_apart = shares ? block_threads / 8 : block_threads;
    first = shares ? lane / 4 : 0;
    step = shares ? 8 : 1;
  }

  template <class T> __device__ T sum(T value) const { return fold(value, Sum{}); }
  template <class T> __device__ T greatest(T value) const { return fold(value, Greater{}); }

  int row, rows_apart; // this thread's rows: row, row + rows_apart, ...
  int first, step;     // and of each, the elements first, first + step, ...

private:
  template <class T, class Fold> __device__ T fold(T value, Fold with) const {
    if (step == 1) return value;
    for (int bit = warp_threads / 2; bit >= 4; bit /= 2) value = with(value, __shfl_xor_sync(~0u, value, bit));
    return value;
  }
};

/// The step of one tile: forward(), assess() and backward(), by all threads of a block. Each ends with a barrier.
template <class T> class NarrowTile {
  static constexpr int terms = panel_terms<T>;

public:
  /// `shared` has room for the plan's features, and a panel behind them.
  __device__ NarrowTile(const NarrowCall<T>& call, T* shared, Index tile)
      : step_(call.step), plan_(call.plan), shared_(shared), panel_(shared + plan_.features * plan_.pitch()),
        rows_(plan_.rows()), pitch_(plan_.pitch()), first_row_(tile << plan_.log_rows) {
    const Index left = step_.x.rows - first_row_;
    live_rows_ = left < rows_ ? static_cast<int>(left) : rows_;
  }

  __device__ void forward() {
    load_x();
    for (int l = 0; l < depth(); ++l) {
      const NarrowLayer<T>& layer = step_.layers[l];
      if (rows_ * dealt(layer.outputs) <= block_sums(1)) {
        multiply_forward<1>(layer, array(l), array(l + 1));
      } else {
        multiply_forward<most_row_groups<T>>(layer, array(l), array(l + 1));
      }
      __syncthreads();
      T* const h = array(l + 1);
      for_each(layer.outputs, [&](int feature, int row, bool exists) {
        T& z = h[feature * pitch_ + row];
        if (!exists) {
          z = 0;
        } else {
          z = activated(layer.activation, layer.bias != nullptr ? z + layer.bias[feature] : z);
        }
      });
      __syncthreads();
    }
  }

  /// Stores p, where somebody wants it, and the losses of rows; turns p into dz.
  __device__ void assess() {
    const NarrowLoss& loss = step_.loss;
    T* const p = array(depth());
    if (step_.p.data != nullptr) {
      for_rows_across(outputs(), [&](int feature, int row) {
        if (row < live_rows_) step_.p.data[(first_row_ + row) * step_.p.stride + feature] = p[feature * pitch_ + row];
      });
      __syncthreads(); // before p is overwritten
    }
    const RowLanes lanes(rows_);
    for (int row = lanes.row; row < rows_; row += lanes.rows_apart) {
      const bool exists = row < live_rows_;
      const Index i = first_row_ + (exists ? row : live_rows_ - 1); // beyond the last row: its targets again
      const T factor = row_factor(loss.scale, step_.weight, i);
      const Feature of_row{p + row, pitch_};
      const Gradient dz{of_row, step_.layers[depth() - 1].activation, exists};
      T sum = 0;
      if (!loss.cross_entropy) {
        sum = element_losses(of_row, step_.targets.values.data + i * step_.targets.values.stride, factor, dz, lanes);
      } else if (step_.targets.labels != nullptr) {
        sum = cross_entropy(of_row, step_.targets.labels, i, factor, dz, lanes);
      } else {
        sum = cross_entropy(of_row, step_.targets.values, i, factor, dz, lanes);
      }
      if (exists && lanes.first == 0) step_.row_loss[i] = factor * sum;
    }
    __syncthreads();
  }

  /// The gradients, which overwrite those of the block, or join them.
  __device__ void backward(bool joins) {
    int lowest = 0;
    while (lowest < depth() && step_.layers[lowest].dweight == nullptr) ++lowest;
    for (int l = depth() - 1; l >= lowest; --l) {
      const NarrowLayer<T>& layer = step_.layers[l];
      T* const dz = array(l + 1);
      if (l == 0 && depth() > 1) { // others have been where it was
        load_x();
        __syncthreads();
      }
      if (layer.dweight != nullptr) {
        add_rows(layer, array(l), dz, joins);
        __syncthreads();
      }
      if (l == lowest) break;
      T* const below = array(l);
      const Activation activation = step_.layers[l - 1].activation;
      for_each(layer.inputs, [&](int feature, int row, bool exists) {
        T& h = below[feature * pitch_ + row];
        h = exists ? activation_slope(activation, h) : T(0);
      });
      if (rows_ * dealt(layer.inputs) <= block_sums(1)) {
        multiply_backward<1>(layer, dz, below);
      } else {
        multiply_backward<most_row_groups<T>>(layer, dz, below);
      }
      __syncthreads();
    }
  }

private:
  using Group = Chunk<T, narrow_group>;

  /// The elements of a row, one in each feature.
  struct Feature {
    T* row;
    int pitch;
    __device__ T& operator[](Index j) const { return row[j * pitch]; }
  };

  /// Takes the loss's gradient by p, and puts dz = dp g' in the place of p.
  struct Gradient {
    Feature p;
    Activation activation;
    bool exists;
    __device__ explicit operator bool() const { return true; }
    __device__ void operator()(Index j, T dp) const { p[j] = exists ? dp * activation_slope(activation, p[j]) : T(0); }
  };

  /// The loss of row i of the batch: losses of single elements, with targets y (K) of the row.
  __device__ T element_losses(Feature p, const T* y, T factor, Gradient dz, const RowLanes& lanes) const {
    T sum = 0;
    for (Index j = lanes.first; j < outputs(); j += lanes.step) {
      const LossAndSlope<T> element = element_loss_of(step_.loss.element, p[j], y[j]);
      sum += element.loss;
      dz(j, factor * element.slope);
    }
    return lanes.sum(sum);
  }

  /// Cross-entropy, the targets given as class numbers or as values.
  template <class Given>
  __device__ T cross_entropy(Feature p, Given given, Index i, T factor, Gradient dz, const RowLanes& lanes) const {
    const auto target = row_target(given, smoothing_of<T>(step_.loss.smoothing, outputs()), i);
    return loss_from_logits(p, outputs(), target, factor, dz, lanes);
  }

  __device__ int depth() const { return static_cast<int>(step_.depth); }
  __device__ int outputs() const { return static_cast<int>(step_.layers[step_.depth - 1].outputs); }
  /// x, and the outputs of the layers from the first on.
  __device__ T* array(int number) const { return shared_ + plan_.first[number] * pitch_; }

  /// each(feature, row, whether there is such) for all elements of an array; a warp has 32 rows of one feature.
  template <class Each> __device__ void for_each(Index width, Each each) const {
    const int count = padded(width) << plan_.log_rows;
    CHAINRULE_ROLLED
    for (int e = static_cast<int>(threadIdx.x); e < count; e += block_threads) {
      const int feature = e >> plan_.log_rows, row = e & (rows_ - 1);
      each(feature, row, feature < width && row < live_rows_);
    }
  }

  /// each(feature, row) for so many features: a warp has 4 rows of 8 neighbours, which is how arrays in memory are best
  /// read, and on 32 different banks here.
  template <class Each> __device__ void for_rows_across(int features, Each each) const {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % warp_threads;
    for (int row = thread / warp_threads * 4 + lane % 4; row < rows_; row += block_threads / 8) {
      for (int feature = lane / 4; feature < features; feature += 8) each(feature, row);
    }
  }

  __device__ void load_x() {
    T* const x = array(0);
    const int inputs = static_cast<int>(step_.x.cols);
    for_rows_across(padded(inputs), [&](int feature, int row) {
      const bool exists = feature < inputs && row < live_rows_;
      x[feature * pitch_ + row] = exists ? step_.x.data[(first_row_ + row) * step_.x.stride + feature] : T(0);
    });
  }

  // Products with W ---------------------------------------------------------------------------------------------------

  /// z - b (rows, out) from h' (rows, in).
  template <int groups> __device__ void multiply_forward(const NarrowLayer<T>& layer, const T* below, T* z) const {
    const int inputs = static_cast<int>(layer.inputs), outputs = static_cast<int>(layer.outputs);
    const SumsPlace<groups> place(rows_);
    WeightCarrier<T, narrow_width> weights(layer.weight, outputs);
    T sums[groups * narrow_group][narrow_group]{};
    weights.load(0, 0, inputs, outputs);
    for (int begin = 0; begin < inputs; begin += terms) {
      __syncthreads(); // the panel has been read
      weights.store(panel_, narrow_width);
      __syncthreads();
      weights.load(begin + terms, 0, inputs - begin - terms, outputs);
      const int count = inputs - begin < terms ? inputs - begin : terms;
      const T* h = below + begin * pitch_ + place.row;
      const T* w = panel_ + place.columns + place.lane * narrow_group;
      // Beyond the last input W and h' are 0.
      for (int p = 0; p < count && place.columns < outputs; p += narrow_group) {
        CHAINRULE_UNROLLED
        for (int s = 0; s < narrow_group; ++s, h += pitch_, w += narrow_width) {
          const Group b = load<narrow_group>(w);
          CHAINRULE_UNROLLED
          for (int group = 0; group < groups; ++group) {
            const Group a = load<narrow_group>(h + group * place.apart);
            CHAINRULE_UNROLLED
            for (int i = 0; i < narrow_group; ++i) {
              CHAINRULE_UNROLLED
              for (int j = 0; j < narrow_group; ++j) sums[group * narrow_group + i][j] += a.at[i] * b.at[j];
            }
          }
        }
      }
    }
    const int column = place.columns + place.lane * narrow_group;
    if (column >= outputs) return;
    CHAINRULE_UNROLLED
    for (int j = 0; j < narrow_group; ++j) {
      CHAINRULE_UNROLLED
      for (int group = 0; group < groups; ++group) {
        Group rows;
        CHAINRULE_UNROLLED
        for (int i = 0; i < narrow_group; ++i) rows.at[i] = sums[group * narrow_group + i][j];
        store(rows, z + (column + j) * pitch_ + place.row + group * place.apart);
      }
    }
  }

  /// dz' = dz W^T * g', of which g' (rows, in) lies where dz' goes. A thread's columns are 4 apart: at each, the lanes
  /// of a warp read neighbouring lines of the panel.
  template <int groups> __device__ void multiply_backward(const NarrowLayer<T>& layer, const T* dz, T* below) const {
    const int inputs = static_cast<int>(layer.inputs), outputs = static_cast<int>(layer.outputs);
    const SumsPlace<groups> place(rows_);
    WeightCarrier<T, terms> weights(layer.weight, outputs);
    T sums[groups * narrow_group][narrow_group]{};
    weights.load(0, 0, inputs, outputs);
    for (int begin = 0; begin < outputs; begin += terms) {
      __syncthreads(); // the panel has been read, and, at first, g' is there
      weights.store(panel_, panel_pitch<T>);
      __syncthreads();
      weights.load(0, begin + terms, inputs, outputs - begin - terms);
      const int count = outputs - begin < terms ? outputs - begin : terms;
      const T* d = dz + begin * pitch_ + place.row;
      const T* w = panel_ + (place.columns + place.lane) * panel_pitch<T>;
      // Beyond the last output W and dz are 0.
      for (int q = 0; q < count && place.columns < inputs; q += narrow_group, d += narrow_group * pitch_) {
        Group b[narrow_group];
        CHAINRULE_UNROLLED
        for (int j = 0; j < narrow_group; ++j) b[j] = load<narrow_group>(w + 4 * j * panel_pitch<T> + q);
        CHAINRULE_UNROLLED
        for (int s = 0; s < narrow_group; ++s) {
          CHAINRULE_UNROLLED
          for (int group = 0; group < groups; ++group) {
            const Group a = load<narrow_group>(d + s * pitch_ + group * place.apart);
            CHAINRULE_UNROLLED
            for (int i = 0; i < narrow_group; ++i) {
              CHAINRULE_UNROLLED
              for (int j = 0; j < narrow_group; ++j) sums[group * narrow_group + i][j] += a.at[i] * b[j].at[s];
            }
          }
        }
      }
    }
    CHAINRULE_UNROLLED
    for (int j = 0; j < narrow_group; ++j) {
      const int column = place.columns + place.lane + 4 * j;
      if (column >= inputs) continue;
      CHAINRULE_UNROLLED
      for (int group = 0; group < groups; ++group) {
        T* const at = below + column * pitch_ + place.row + group * place.apart;
        Group rows = load<narrow_group>(at);
        CHAINRULE_UNROLLED
        for (int i = 0; i < narrow_group; ++i) rows.at[i] *= sums[group * narrow_group + i][j];
        store(rows, at);
      }
    }
  }

  // Sums over rows ----------------------------------------------------------------------------------------------------

  // The panel serves for sums that several threads have parts of: first those of the bias, then those of the weights.
  static constexpr int bias_sums = block_threads;
  static constexpr int parted_room = (panel_size<T> - bias_sums) / (narrow_group * narrow_group); // threads
  static constexpr int most_parted_threads = parted_room < block_threads ? parted_room : block_threads;

  static constexpr int units(int width, int each) { return (width + each - 1) / each; }

  /// db, if there is one, and dW (in, out) of a layer.
  __device__ void add_rows(const NarrowLayer<T>& layer, const T* below, const T* dz, bool joins) const {
    const int inputs = static_cast<int>(layer.inputs), outputs = static_cast<int>(layer.outputs);
    if (units(inputs, 4) * units(outputs, 4) <= block_threads || most_row_groups<T> == 1) {
      add_weights<4>(layer, below, dz, joins);
    } else {
      add_weights<8>(layer, below, dz, joins);
    }
  }

  __device__ void put(T* to, T value, bool joins) const { *to = joins ? *to + value : value; }

  /// This thread's part of db: in its feature, every so many groups of rows.
  __device__ T bias_part(int outputs, const T* dz) const {
    const int width = padded(outputs), parts = block_threads / width, thread = static_cast<int>(threadIdx.x);
    T sum = 0;
    for (int group = thread / width; group < rows_ / narrow_group && thread < parts * width; group += parts) {
      const Group rows = load<narrow_group>(dz + thread % width * pitch_ + group * narrow_group);
      CHAINRULE_UNROLLED
      for (int i = 0; i < narrow_group; ++i) sum += rows.at[i];
    }
    return sum;
  }

  /// db and dW, each thread having `down` x 4 sums at a time. Where there are fewer sums than threads, several
  /// threads have parts of the same, every so many groups of rows, and the parts are added up from the first to the
  /// last. A thread's inputs lie apart, and so do its outputs: its neighbours have the next ones.
  template <int down>
  __device__ void add_weights(const NarrowLayer<T>& layer, const T* below, const T* dz, bool joins) const {
    constexpr int across = 4;
    const int inputs = static_cast<int>(layer.inputs), outputs = static_cast<int>(layer.outputs);
    const int units_down = units(inputs, down), units_across = units(outputs, across), all = units_down * units_across;
    const int thread = static_cast<int>(threadIdx.x);
    const int parts = all <= most_parted_threads / 2 ? most_parted_threads / all : 1;
    const int part = thread / all; // 0 where there is but one, in the first round
    T* const sums_of_parts = panel_ + bias_sums;

    if (layer.dbias != nullptr) panel_[thread] = bias_part(outputs, dz);
    for (int unit = parts > 1 ? thread % all : thread; unit < all; unit += block_threads) {
      if (parts > 1 && part >= parts) break;
      const int input = unit / units_across, output = unit % units_across;
      T sums[down][across]{};
      const T* h = below + input * pitch_;
      const T* d = dz + output * pitch_;
      const int step = parts * narrow_group;
      for (int row = parts > 1 ? part * narrow_group : 0; row < rows_; row += step) {
        Group b[across];
        CHAINRULE_UNROLLED
        for (int j = 0; j < across; ++j) b[j] = load<narrow_group>(d + j * units_across * pitch_ + row);
        CHAINRULE_UNROLLED
        for (int i = 0; i < down; ++i) {
          const Group a = load<narrow_group>(h + i * units_down * pitch_ + row);
          CHAINRULE_UNROLLED
          for (int s = 0; s < narrow_group; ++s) {
            CHAINRULE_UNROLLED
            for (int j = 0; j < across; ++j) sums[i][j] += a.at[s] * b[j].at[s];
          }
        }
      }
      CHAINRULE_UNROLLED
      for (int i = 0; i < down; ++i) {
        CHAINRULE_UNROLLED
        for (int j = 0; j < across; ++j) {
          const int row = input + i * units_down, column = output + j * units_across;
          if (parts > 1) {
            sums_of_parts[((i * across + j) * parts + part) * all + unit] = sums[i][j];
          } else if (row < inputs && column < outputs) {
            put(gradient(layer.dweight) + row * outputs + column, sums[i][j], joins);
          }
        }
      }
    }
    __syncthreads();
    if (layer.dbias != nullptr && thread < outputs) {
      const int width = padded(outputs);
      T sum = panel_[thread];
      for (int k = 1; k < block_threads / width; ++k) sum += panel_[k * width + thread];
      put(gradient(layer.dbias) + thread, sum, joins);
    }
    if (parts == 1) return;
    for (int element = thread; element < all * down * across; element += block_threads) {
      const int place = element / all, unit = element % all;
      const int row = unit / units_across + place / across * units_down;
      const int column = unit % units_across + place % across * units_across;
      if (row >= inputs || column >= outputs) continue;
      T sum = sums_of_parts[place * parts * all + unit];
      for (int k = 1; k < parts; ++k) sum += sums_of_parts[(place * parts + k) * all + unit];
      put(gradient(layer.dweight) + row * outputs + column, sum, joins);
    }
  }

  /// The block's own place, from that of the first block.
  __device__ T* gradient(T* of_first_block) const { return of_first_block + blockIdx.x * plan_.gradients[depth()]; }

  const NarrowStep<T>& step_;
  const NarrowPlan& plan_;
  T *shared_, *panel_;
  int rows_, pitch_, live_rows_;
  Index first_row_;
};

} // namespace chainrule::cuda
