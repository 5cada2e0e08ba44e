// Every method on every model of resources/recipes/findings.json, run from the window: the form filled with
// the recipe's parameters, Run pressed, the result looked at.
#include <QAbstractButton>
#include <QDir>
#include <QLabel>
#include <QStandardPaths>
#include <QtTest>
#include <fstream>
#include <set>

#include "app/shell/main_window.h"
#include "app/views/methods/methods_view.h"
#include "app/views/results/results_view.h"
#include "plugins/host/plugin_folders.h"

using namespace saccade;
using nlohmann::json;

class EveryMethodTest : public QObject {
  Q_OBJECT

  std::unique_ptr<MainWindow> window_;
  json recipe_;
  QString model_, prompt_;
  std::set<std::string> seen_;  // methods that gave a result

  Workbench& bench() { return window_->workbench(); }
  bool nothing_runs() {
    return std::none_of(bench().results().begin(), bench().results().end(),
                        [](const KeptResult& kept) { return kept.running; });
  }
  // Where a name of the recipe is, or nothing.
  static QString place_of(const QString& model) {
    if (model.startsWith("demo:")) return model;
    const QString data = QString::fromLocal8Bit(qgetenv("SACCADE_TEST_DATA"));
    const QString folder = QDir(data).filePath(model);
    return data.isEmpty() || !QDir(folder).exists() ? QString() : folder;
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setOrganizationName("saccade-test");
    QCoreApplication::setApplicationName("saccade-every-method-test");
    QStandardPaths::setTestModeEnabled(true);
    QDir(QStandardPaths::writableLocation(QStandardPaths::CacheLocation)).removeRecursively();
    QDir::setCurrent(SACCADE_SOURCE_DIR);  // the recipe names its prompt files from here
    std::ifstream file(SACCADE_SOURCE_DIR "/resources/recipes/findings.json");
    recipe_ = json::parse(file);
    const auto kernels = choose_kernels("auto");
    QVERIFY(kernels.ok());
    auto catalogue = std::make_shared<const MethodCatalogue>(MethodCatalogue::open(plugin_folders({})));
    window_ = std::make_unique<MainWindow>(WorkbenchOptions{*kernels, 2, std::move(catalogue)});
    window_->set_remember_session(false);
    window_->show();
    QVERIFY(QTest::qWaitForWindowExposed(window_.get()));
  }
  void cleanupTestCase() { window_.reset(); }

  void a_method_runs_data() {
    QTest::addColumn<int>("at");
    for (size_t at = 0; at < recipe_["sections"].size(); ++at)
      if (!recipe_["sections"][at].contains("images"))  // pictures are given in picture_window_test.cpp
        QTest::newRow(recipe_["sections"][at]["title"].get<std::string>().c_str()) << static_cast<int>(at);
  }
  void a_method_runs() {
    QFETCH(int, at);
    const json& section = recipe_["sections"][static_cast<size_t>(at)];
    const QString model = QString::fromStdString(section["model"].get<std::string>());
    const QString where = place_of(model);
    if (where.isEmpty()) QSKIP(qPrintable(model + " is not here: SACCADE_TEST_DATA does not hold it"));
    if (model != model_) {
      const auto before = bench().model();
      bench().open_model(where);
      QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before, 20000);
      model_ = model;
      prompt_.clear();
    }
    if (const QString prompt = QString::fromStdString(section["prompt"].get<std::string>());
        prompt != prompt_) {
      bench().set_prompt(prompt, true);
      QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 20000);
      prompt_ = prompt;
    }
    window_->raise_view(window_->methods_view());
    const std::string method = section["method"];
    const json parameters = section.value("parameters", json::object());
    window_->methods_view()->choose(QString::fromStdString(method));
    window_->methods_view()->form()->set_values(parameters);
    for (const auto& [name, value] : parameters.items())
      QVERIFY2(window_->methods_view()->form()->values()[name] == value,
               qPrintable(QString("the form does not take %1=%2").arg(name.c_str(), value.dump().c_str())));
    const size_t before = bench().results().size();
    QTest::mouseClick(window_->findChild<QAbstractButton*>("method_run"), Qt::LeftButton);
    auto* problem = window_->findChild<QLabel*>("method_problem");
    QTRY_VERIFY_WITH_TIMEOUT((nothing_runs() && bench().results().size() > before) || problem->isVisible(),
                             120000);
    QVERIFY2(!problem->isVisible(), qPrintable(problem->text()));
    const KeptResult& newest = bench().results().front();
    QCOMPARE(newest.method, method);
    QVERIFY(newest.result != nullptr && !newest.partial());
    QVERIFY2(!newest.result->findings.empty(), "a result says what it found");
    seen_.insert(method);
    while (!bench().results().empty()) bench().remove_result(bench().results().front().number);
  }

  void no_method_of_language_models_was_left_out() {
    const std::set<std::string> wanted{"head-table",
                                       "sinks",
                                       "act-filter",
                                       "retrieval",
                                       "semantic-retrieval",
                                       "attention-influence",
                                       "ablation-sweep",
                                       "logit-lens",
                                       "path-patching",
                                       "output-nodes",
                                       "activation-patching",
                                       "logit-attribution",
                                       "ph3",
                                       "code-circuit",
                                       "circuit",
                                       "agreement",
                                       "verbalize",
                                       "attribution-patching",
                                       "segment-order",
                                       "head-hunter",
                                       "fit-offsets",
                                       "moa-influence"};
    QString missing;
    for (const std::string& method : wanted)
      if (!seen_.contains(method)) missing += " " + QString::fromStdString(method);
    QVERIFY2(missing.isEmpty(), qPrintable("no section of the recipe ran" + missing));
  }
};

QTEST_MAIN(EveryMethodTest)
#include "every_method_test.moc"
