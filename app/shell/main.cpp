// saccade: the window.
#include <QApplication>
#include <QCommandLineParser>
#include <QElapsedTimer>
#include <QScreen>
#include <QSurfaceFormat>
#include <QTimer>
#include <cstdio>

#include "app/shell/main_window.h"
#include "app/shell/map_bench.h"
#include "app/shell/theme.h"
#include "core/run/device.h"

namespace {

using namespace saccade;

// Waits until everything is drawn, saves a picture of the window, ends the program.
void take_screenshot(MainWindow& window, const QString& path) {
  auto* timer = new QTimer(&window);
  auto* waited = new QElapsedTimer;
  waited->start();
  QObject::connect(timer, &QTimer::timeout, &window, [&window, path, timer, waited] {
    const bool late = waited->elapsed() > 60000;
    if (!window.settled() && !late) return;
    timer->stop();
    delete waited;
    QTimer::singleShot(50, &window, [&window, path, late] {
      const bool saved = window.picture().save(path);
      if (!saved) std::fprintf(stderr, "saccade: cannot write %s\n", qPrintable(path));
      QCoreApplication::exit(saved && !late ? 0 : 1);
    });
  });
  timer->start(20);
}

std::shared_ptr<const MethodCatalogue> open_catalogue(const QStringList& folders) {
  std::vector<std::string> given;
  for (const QString& folder : folders) given.push_back(folder.toStdString());
  return std::make_shared<const MethodCatalogue>(MethodCatalogue::open(plugin_folders(given)));
}

bool has_display() {
  return !qEnvironmentVariableIsEmpty("DISPLAY") || !qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY") ||
         !qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM");
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (const QByteArray argument(argv[i]);
        argument == "--help" || argument == "-h" || argument == "--version")
      if (!has_display()) qputenv("QT_QPA_PLATFORM", "offscreen");
  if (!has_display()) {
    std::fprintf(stderr, "saccade: there is no display here; saccade-cli does the same work without one.\n");
    return 2;
  }
  for (int i = 1; i < argc; ++i)
    if (QByteArray(argv[i]).startsWith("--bench-map")) {  // frames are timed, not waited for
      QSurfaceFormat format = QSurfaceFormat::defaultFormat();
      format.setSwapInterval(0);
      QSurfaceFormat::setDefaultFormat(format);
    }
  QApplication application(argc, argv);
  QApplication::setApplicationName("saccade");
  QApplication::setOrganizationName("saccade");
  QApplication::setApplicationVersion(SACCADE_VERSION);
  QCommandLineParser parser;
  parser.setApplicationDescription(
      "See every attention head of a transformer, change any, and see what the change does.");
  parser.addHelpOption();
  parser.addVersionOption();
  parser.addPositionalArgument(
      "WHAT", "a model folder, demo:NAME, a session (.json) or a dump (.h5); default: the last session",
      "[WHAT]");
  const QCommandLineOption threads("threads", "threads (default: all cores)", "N", "0");
  const QCommandLineOption kernels_option("kernels", "attention kernels (auto, avx512, avx2, baseline)",
                                          "NAME", "auto");
  const QCommandLineOption device_option("device", "where models run: cpu, cuda, cuda:1", "NAME", "cpu");
  const QCommandLineOption no_restore("no-restore", "neither read nor write the last session");
  const QCommandLineOption screenshot(
      "screenshot", "save a picture of the window once everything is drawn, and end", "FILE");
  QCommandLineOption map_bench("bench-map", "measure the head map on a synthetic run of N tokens, and end",
                               "N");
  map_bench.setFlags(QCommandLineOption::HiddenFromHelp);
  const QCommandLineOption theme("theme", "system, light or dark", "NAME", "system");
  const QCommandLineOption plugins("plugins", "a folder of plugins, besides the usual ones", "DIR");
  parser.addOptions(
      {threads, kernels_option, device_option, plugins, no_restore, screenshot, theme, map_bench});
  parser.process(application);
  const auto kernels = choose_kernels(parser.value(kernels_option).toStdString());
  if (!kernels.ok()) {
    std::fprintf(stderr, "saccade: %s\n", kernels.error().to_string().c_str());
    return 2;
  }
  const std::string device_name = parser.value(device_option).toStdString();
  if (const Result<Device> device = parse_device(device_name); !device.ok() || !use_device(*device).ok()) {
    const Error error = device.ok() ? use_device(*device).error() : device.error();
    std::fprintf(stderr, "saccade: %s\n", error.to_string().c_str());
    return 2;
  }
  apply_theme(parser.value(theme) == "dark"    ? Theme::dark
              : parser.value(theme) == "light" ? Theme::light
                                               : Theme::system);
  MainWindow window(
      {*kernels, parser.value(threads).toInt(), open_catalogue(parser.values(plugins)), device_name});
  window.set_remember_session(!parser.isSet(no_restore) && !parser.isSet(map_bench));
  window.show();
  if (parser.isSet(map_bench))
    return bench_map(window, {std::max(parser.value(map_bench).toInt(), 16), parser.value(threads).toInt(),
                              parser.value(screenshot)});
  if (!parser.positionalArguments().isEmpty())
    window.workbench().open_anything(parser.positionalArguments().first());
  else if (parser.isSet(no_restore))
    window.open_demo();
  else
    window.open_last();
  if (parser.isSet(screenshot)) take_screenshot(window, parser.value(screenshot));
  return QApplication::exec();
}
