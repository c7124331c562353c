// Walking the pieces of an evaluation or a prediction.
#include "train/evaluation.h"

#include <algorithm>

#include "core/clock.h"

namespace chainrule {

namespace {

/// Calls piece(team, number) on all members, from `next` up to `pieces`, until the time is over; returns the next
/// number. A barrier follows each piece, and a piece contains one.
template <class Piece> Index walk_pieces(ThreadTeam& threads, Index next, Index pieces, double seconds, Piece piece) {
  // A single piece needs no clock, which takes as long as the product of a tiny layer.
  const double end = pieces - next > 1 ? seconds_now() + seconds : 0;
  Index reached = next;
  bool pause = false; // set by rank 0, read after a barrier
  auto body = [&](const Team& team) {
    Index number = next;
    for (bool stop = false; number < pieces && !stop; ++number) {
      piece(team, number);
      if (team.rank() == 0) pause = number + 1 < pieces && seconds_now() >= end;
      team.barrier();
      stop = pause;
    }
    if (team.rank() == 0) reached = number;
  };
  threads.run(body);
  return reached;
}

} // namespace

template <class T>
Evaluation<T>::Evaluation(const Network<T>& network, const Objective<T>& objective, Data<T> data)
    : network_(network),
      sampler_(data, network.device(), piece_rows(network.device(), data.row_bytes()), false, false, 0),
      buffers_(network, sampler_.batch_size(), false), assessment_(objective, sampler_.batch_size(), network),
      team_(threads()) {}

template <class T> int Evaluation<T>::threads() const {
  return assessment_.on_caller() ? 1 : network_.threads(sampler_.batch_size(), false, sampler_.rows());
}

template <class T> void Evaluation<T>::begin() {
  const int worth = threads(); // the limit may have changed
  if (worth != team_.threads()) team_ = ThreadTeam(worth);
  assessment_.begin();
  next_ = 0;
}

template <class T> bool Evaluation<T>::advance(double seconds) {
  next_ = walk_pieces(team_, next_, sampler_.steps(), seconds, [&](const Team& team, Index step) {
    const Pass<T> pass = network_.pass(team);
    if (team.rank() == 0) {
      sampler_.prepare(step, 1);
      buffers_.set_rows(sampler_.rows_of(step));
    }
    const Data<T> batch = sampler_.batch(pass, step);
    network_.forward(pass, batch.x, buffers_);
    assessment_.assess(pass, batch, buffers_.result(), {});
    if (team.rank() == 0) assessment_.add(pass, batch.rows());
  });
  return next_ == sampler_.steps();
}

template <class T>
PredictionBuffers<T>::PredictionBuffers(const Network<T>& network, Index rows)
    : step(network, rows, false),
      x(network.device().is_host() ? 0 : rows * network.inputs(), Contents::undefined, network.memory()) {}

template <class T>
Index predict(const Network<T>& network, const Memory& memory, const Inputs<T>& x, const MatrixView<T>& p, Index first,
              double seconds, PredictionBuffers<T>& buffers, ThreadTeam& team) {
  StepBuffers<T>& step = buffers.step;
  const bool in_place = &memory == &network.memory(); // x is read, and p written, where they are
  const Index size = step.capacity(), pieces = (x.rows() + size - 1) / size;
  const Index reached = walk_pieces(team, first / size, pieces, seconds, [&](const Team& member, Index number) {
    const Index begin = number * size, rows = std::min(size, x.rows() - begin);
    Inputs<T> piece = x.part(begin, rows);
    if (member.rank() == 0) {
      step.set_rows(rows);
      step.set_result(in_place ? p.row(begin) : nullptr);
    }
    if (!in_place) {
      copy_in(network.memory(), buffers.x.data(), piece.dense.data, piece.dense.size());
      piece.dense.data = buffers.x.data();
    }
    member.barrier();
    network.forward(network.pass(member), piece, step);
    if (!in_place) copy_out(network.memory(), p.row(begin), step.result().data, step.result().size());
  });
  step.set_result(nullptr); // p is the caller's
  return std::min(reached * size, x.rows());
}

#define CHAINRULE_INSTANTIATE(T)                                                                                       \
  template class Evaluation<T>;                                                                                        \
  template struct PredictionBuffers<T>;                                                                                \
  template Index predict(const Network<T>&, const Memory&, const Inputs<T>&, const MatrixView<T>&, Index, double,      \
                         PredictionBuffers<T>&, ThreadTeam&);
CHAINRULE_INSTANTIATE(float)
CHAINRULE_INSTANTIATE(double)

} // namespace chainrule
