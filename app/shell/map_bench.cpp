#include "app/shell/map_bench.h"

#include <QCoreApplication>
#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QThread>
#include <QTimer>
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <mutex>
#include <random>
#include <thread>

#include "app/shell/long_capture.h"
#include "app/views/head_map/head_map_view.h"
#include "app/views/head_map/map_canvas.h"
#include "core/capture/dump.h"
#include "core/run/tensor_ops.h"

namespace saccade {
namespace {

constexpr double frame_budget_ms = 1000.0 / 60;

double milliseconds(const QElapsedTimer& clock) { return static_cast<double>(clock.nsecsElapsed()) / 1e6; }

// Lets the window live until the condition holds; false when it did not within the time.
template <class Condition>
bool wait_until(const Condition& condition, int limit_ms = 120000) {
  QElapsedTimer clock;
  clock.start();
  QTimer wake;
  wake.start(1);
  while (!condition()) {
    if (clock.elapsed() > limit_ms) return false;
    QCoreApplication::processEvents(QEventLoop::AllEvents | QEventLoop::WaitForMoreEvents);
  }
  return true;
}

// Of all threads of this program.
double processor_ms() { return 1000.0 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

// Of the calling thread alone.
double own_processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1000.0 * static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e6;
}

struct Times {
  std::vector<double> ms;
  [[nodiscard]] double quantile(double part) const {
    std::vector<double> sorted = ms;
    std::sort(sorted.begin(), sorted.end());
    if (sorted.empty()) return 0.0;
    return sorted[static_cast<size_t>(std::lround(part * static_cast<double>(sorted.size() - 1)))];
  }
  void print(const char* what) const {
    std::printf("%-58s median %7.1f ms   99th percentile %7.1f ms   (%zu)\n", what, quantile(0.5),
                quantile(0.99), ms.size());
    std::fflush(stdout);
  }
};

class MapBench {
 public:
  MapBench(MainWindow& window, MapCanvas& canvas, int64_t n) : window_(window), canvas_(canvas), n_(n) {
    QObject::connect(&canvas, &QOpenGLWidget::frameSwapped, &window, [this] { ++frames_; });
  }

  // A head that has not been looked at: until there is something everywhere, and until all of it is exact.
  bool first_pictures() {
    Times sampled, exact;
    for (int i = 0; i < 4; ++i) {
      canvas_.look_at({0, 0}, 0.0);
      QElapsedTimer clock;
      clock.start();
      select(i % 2);
      if (!wait_until([&] { return drawn() && canvas_.has_picture(); })) return false;
      sampled.ms.push_back(milliseconds(clock));
      if (!wait_until([&] { return canvas_.exact() >= 1.0 && canvas_.complete(); })) return false;
      exact.ms.push_back(milliseconds(clock));
    }
    sampled.print("first complete picture on screen, sampled");
    exact.print("the same, exact");
    return true;
  }

  // 60 steps a second: into a stripe, along it, half out, across, all the way out.
  bool fly() {
    struct Stop {
      double seconds, x, y, zoom;
    };
    const double whole = canvas_.camera().frame().height() / static_cast<double>(n_),
                 n = static_cast<double>(n_);
    const Stop stops[] = {{0.0, n / 2, n / 2, whole},
                          {2.0, n / 2 + 40, n / 2 + 60, 24.0},
                          {4.0, n / 2 + 160, n / 2 + 180, 24.0},
                          {5.0, n / 2, n * 0.6, 0.2},
                          {7.0, n * 0.1, n * 0.7, 0.2},
                          {8.0, n / 2, n / 2, whole}};
    Times frames, work, own;
    double shown_exact = 0.0;
    int late = 0;
    QElapsedTimer flight;
    flight.start();
    int steps = 0;
    for (size_t leg = 0; leg + 1 < std::size(stops);) {
      const double now = milliseconds(flight) / 1000;
      const Stop &from = stops[leg], &to = stops[leg + 1];
      if (now >= to.seconds) {
        ++leg;
        continue;
      }
      const double part = (now - from.seconds) / (to.seconds - from.seconds), work_before = processor_ms(),
                   own_before = own_processor_ms();
      const uint64_t before = frames_;
      canvas_.look_at({std::lerp(from.x, to.x, part), std::lerp(from.y, to.y, part)},
                      from.zoom * std::pow(to.zoom / from.zoom, part));
      if (!wait_until([&] { return frames_ > before; }, 10000)) return false;
      frames.ms.push_back(canvas_.last_frame_ms());
      work.ms.push_back(processor_ms() - work_before);
      own.ms.push_back(own_processor_ms() - own_before);
      shown_exact += canvas_.exact();
      late += frames.ms.back() > frame_budget_ms;
      steps = std::max(steps + 1, static_cast<int>(milliseconds(flight) / frame_budget_ms));
      wait_until([&] { return milliseconds(flight) >= steps * frame_budget_ms; });
    }
    frames.print("a frame of panning and zooming at 60 steps a second");
    own.print("  processor time of the window's own thread");
    work.print("  of all threads, the workers and OpenGL in software too");
    std::printf("%-58s %zu of %zu; %.1f %% of what was drawn was exact\n", "  frames longer than 16.7 ms",
                static_cast<size_t>(late), frames.ms.size(),
                100 * shown_exact / static_cast<double>(frames.ms.size()));
    return true;
  }

  // What the workers need for one tile of every cell, from the request until it is there: alone, and in the
  // middle of the whole map.
  bool tile_latency(const AttentionMap& map) {
    for (const bool busy : {false, true}) {
      std::mt19937 random(3);
      Times tile;
      std::mutex mutex;
      std::condition_variable made;
      TileCache cache([&] {
        const std::lock_guard lock(mutex);
        made.notify_all();
      });
      for (int i = 0; i < 200; ++i) {
        if (i % 40 == 0) cache.set_source(std::make_shared<const MapTileSource>(map));
        const TileKey root = root_tile(n_);
        if (busy) {
          cache.want({root});
          std::this_thread::sleep_for(std::chrono::milliseconds(4));
        }
        const int64_t row = static_cast<int64_t>(random()) % (n_ / tile_side);
        const TileKey key{0, row, static_cast<int64_t>(random()) % (row + 1)};
        QElapsedTimer clock;
        clock.start();
        busy ? cache.want({key, root}) : cache.want({key});
        std::unique_lock lock(mutex);
        if (!made.wait_for(lock, std::chrono::seconds(10), [&] { return cache.find(key) != nullptr; }))
          return false;
        tile.ms.push_back(milliseconds(clock));
      }
      tile.print(busy ? "  the same while they compute the whole map"
                      : "a full-detail tile of 256 x 256 cells, workers idle");
    }
    return true;
  }

  // From the whole map straight to every cell of some place. busy: while a head's coarse picture is being
  // made.
  bool look_into(const char* what, bool busy) {
    std::mt19937 random(busy ? 7 : 5);
    Times shown;
    for (int i = 0; i < 40; ++i) {
      canvas_.look_at({0, 0}, 0.0);
      if (busy && i % 10 == 0) select(i / 10 % 2);
      const uint64_t whole = frames_;
      wait_until([&] { return frames_ > whole; });
      if (busy) wait_until([&] { return canvas_.has_picture(); });
      const auto query = static_cast<double>(random() % static_cast<uint32_t>(n_ - 1) + 1);
      const auto key = static_cast<double>(random() % static_cast<uint32_t>(query));
      const QPointF cell(key, query);
      QElapsedTimer clock;
      clock.start();
      canvas_.look_at(cell, 20.0);
      bool there = false;
      const bool seen = wait_until([&] {
        if (!there && canvas_.exact_at(cell)) {
          there = true;
          before_ = frames_;
        }
        return there && drawn();
      });
      if (!seen) return false;
      shown.ms.push_back(milliseconds(clock));
    }
    shown.print(what);
    return true;
  }

  void show_whole() {
    canvas_.look_at({0, 0}, 0.0);
    wait_until([&] { return drawn() && canvas_.exact() >= 1.0 && canvas_.complete() && window_.settled(); });
  }

 private:
  void select(int head) {
    before_ = frames_;
    window_.workbench().select_head({LayerIndex{0}, HeadIndex{head}});
    canvas_.refresh();
  }
  [[nodiscard]] bool drawn() const { return frames_ > before_; }

  MainWindow& window_;
  MapCanvas& canvas_;
  int64_t n_;
  uint64_t frames_ = 0, before_ = 0;
};

int fail(const char* why) {
  std::fprintf(stderr, "saccade: %s\n", why);
  return 1;
}

}  // namespace

int bench_map(MainWindow& window, const MapBenchOptions& options) {
  MapCanvas* canvas = window.map_view()->canvas();
  if (!canvas) return fail("the head map needs OpenGL, and this display has none");
  QElapsedTimer clock;
  clock.start();
  const KernelSet& kernels = window.workbench().kernels();
  const auto capture = make_long_capture(
      options.n_token, kernels,
      ops::use_threads(options.threads > 0 ? options.threads : QThread::idealThreadCount()));
  if (!capture.ok()) return fail(capture.error().to_string().c_str());
  std::printf("%lld tokens, %d heads of %d, kernels %s; forward pass with statistics %.1f s\n",
              static_cast<long long>(options.n_token), (*capture)->spec.n_head, (*capture)->spec.d_head,
              kernels.name.c_str(), milliseconds(clock) / 1000);
  const QTemporaryDir folder;
  const QString dump = folder.filePath("long.h5");
  if (const auto written = write_dump(**capture, dump.toStdString(), {}, kernels, {}); !written.ok())
    return fail(written.error().to_string().c_str());
  window.workbench().open_anything(dump);
  if (!wait_until([&] { return window.settled(); })) return fail("the capture did not open");
  window.workbench().set_scale([&] {
    ColourScale scale = window.workbench().scale();
    scale.mode = SinkMode::logarithmic;
    return scale;
  }());
  std::printf("opened and everything drawn after %.1f s\n", milliseconds(clock) / 1000);
  const auto map = AttentionMap::of(*capture, {LayerIndex{0}, HeadIndex{0}}, kernels);
  if (!map.ok()) return fail(map.error().to_string().c_str());
  MapBench bench(window, *canvas, options.n_token);
  if (!bench.first_pictures() || !bench.fly() || !bench.tile_latency(*map) ||
      !bench.look_into("from the whole map to every cell of a place, on screen", false) ||
      !bench.look_into("  the same while the whole map is being computed", true))
    return fail("the map was not drawn in time");
  bench.show_whole();
  if (options.screenshot.isEmpty()) return 0;
  return window.picture().save(options.screenshot) ? 0 : fail("cannot write the screenshot");
}

}  // namespace saccade
