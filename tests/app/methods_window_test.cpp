// Drives the window through methods and their results: chooses one, fills its form, runs and stops it, reads
// what it gives, and goes on from there by clicks. Pictures are kept for people to look at.
#include <QAction>
#include <QApplication>
#include <QComboBox>
#include <QDir>
#include <QElapsedTimer>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QSlider>
#include <QSpinBox>
#include <QStandardPaths>
#include <QTabWidget>
#include <QTableView>
#include <QToolButton>
#include <QtTest>

#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "app/views/circuit/circuit_canvas.h"
#include "app/views/circuit/circuit_view.h"
#include "app/views/methods/methods_view.h"
#include "app/views/results/field_page.h"
#include "app/views/results/results_view.h"
#include "app/views/results/table_page.h"
#include "app/views/scatter/scatter_canvas.h"
#include "app/views/scatter/scatter_view.h"

using namespace saccade;

class MethodsWindowTest : public QObject {
  Q_OBJECT

  std::unique_ptr<MainWindow> window_;
  Workbench& bench() { return window_->workbench(); }
  template <class Widget>
  Widget* child(const char* name) {
    return window_->findChild<Widget*>(name);
  }
  template <class Widget>
  Widget* in(QWidget* parent, const char* name) {
    return parent->findChild<Widget*>(name);
  }
  void open_demo() {
    const auto before = bench().model();
    window_->open_demo();
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before, 10000);
    settle();
  }
  void settle() { QTRY_VERIFY_WITH_TIMEOUT(window_->settled(), 30000); }
  void picture(const char* name) {
    QTest::qWait(60);
    QDir().mkpath(SACCADE_SCREENSHOTS);
    QVERIFY(window_->picture().save(QDir(SACCADE_SCREENSHOTS).filePath(QString(name) + ".png")));
  }
  bool nothing_runs() {
    return std::none_of(bench().results().begin(), bench().results().end(),
                        [](const KeptResult& kept) { return kept.running; });
  }
  const KeptResult& newest() { return bench().results().front(); }
  void press(const char* button) { QTest::mouseClick(child<QAbstractButton>(button), Qt::LeftButton); }
  // The page of the result shown whose tab is called so.
  template <class Page>
  Page* page(const QString& name) {
    QTabWidget* pages = window_->results_view()->pages();
    for (int i = 0; i < pages->count(); ++i)
      if (pages->tabToolTip(i) == name) {
        pages->setCurrentIndex(i);
        return qobject_cast<Page*>(pages->widget(i));
      }
    return nullptr;
  }
  static AnalysisResult small_circuit() {
    AnalysisResult result;
    result.method = "circuit";
    result.findings = {"Four edges carry the answer."};
    result.tables.push_back({"edges",
                             {"from", "to", "effect"},
                             {{"embed", "0.0", 0.4},
                              {"0.0", "1.2.k", 0.9},
                              {"1.2", "logits", 1.5},
                              {"mlp 0", "1.2.q", -0.3},
                              {"1.1", "2.3.v", -0.2},
                              {"2.3", "logits", 0.1}}});
    return result;
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setOrganizationName("saccade-test");
    QCoreApplication::setApplicationName("saccade-methods-test");
    QStandardPaths::setTestModeEnabled(true);
    QDir(QStandardPaths::writableLocation(QStandardPaths::CacheLocation)).removeRecursively();
    apply_theme(Theme::light);
    const auto kernels = choose_kernels("auto");
    QVERIFY(kernels.ok());
    window_ = std::make_unique<MainWindow>(WorkbenchOptions{*kernels, 2});
    window_->set_remember_session(false);
    window_->show();
    QVERIFY(QTest::qWaitForWindowExposed(window_.get()));
    QApplication::setActiveWindow(window_.get());
  }
  void cleanupTestCase() { window_.reset(); }

  void without_a_run_a_method_says_what_to_do() {
    window_->raise_view(window_->methods_view());
    press("method_run");
    QVERIFY2(child<QLabel>("method_problem")->text().contains("run a prompt first"),
             qPrintable(child<QLabel>("method_problem")->text()));
    window_->raise_view(window_->results_view());
    QVERIFY(child<QLabel>("results_empty")->isVisible());
    picture("methods-empty");
    open_demo();
  }

  void every_method_can_be_found_and_has_a_form() {
    auto* list = child<QListWidget>("method_list");
    QCOMPARE(list->count(), static_cast<int>(window_->workbench().methods().size()));
    for (const AnalysisMethod* method : window_->workbench().methods()) {
      window_->methods_view()->choose(QString::fromStdString(method->info().id));
      const auto complete = complete_parameters(method->info(), window_->methods_view()->form()->values());
      QVERIFY2(complete.ok(), method->info().id.c_str());
      QCOMPARE(complete->dump(), complete_parameters(method->info(), {})->dump());
    }
    auto* search = child<QLineEdit>("method_search");
    search->setText("2406.15765");  // a citation of two methods: the first of them
    QCOMPARE(list->currentItem()->data(Qt::UserRole).toString(), "act-filter");
    search->setText("no such thing at all");
    for (int i = 0; i < list->count(); ++i) QVERIFY(list->item(i)->isHidden());
    search->clear();
  }

  void a_form_runs_a_method_and_its_result_is_shown() {
    window_->raise_view(window_->methods_view());
    window_->methods_view()->choose("ablation-sweep");
    QWidget* form = window_->methods_view()->form();
    in<QSpinBox>(form, "parameter-count")->setValue(4);
    in<QSpinBox>(form, "parameter-controls")->setValue(2);
    in<QComboBox>(form, "parameter-metric")->setCurrentText("logit-difference");
    window_->raise_view(window_->results_view());
    press("method_run");
    QTRY_VERIFY_WITH_TIMEOUT(!bench().results().empty() && nothing_runs(), 20000);
    QCOMPARE(newest().parameters["count"], 4);
    QVERIFY(newest().result && !newest().partial());
    QVERIFY(child<QLabel>("result_findings")->text().contains("ablating"));
    QVERIFY2(child<QLabel>("result_state")->text().contains("count=4"),
             qPrintable(child<QLabel>("result_state")->text()));
    QCOMPARE(bench().finding_result(), newest().number);
    settle();
    picture("result-field");
  }

  void a_field_of_it_colours_the_grid() {
    auto* effect = page<FieldPage>("effect");
    QVERIFY(effect);
    QTest::mouseClick(in<QToolButton>(effect, "colour_grid"), Qt::LeftButton);
    QVERIFY(bench().score_shown().endsWith(":effect"));
    QVERIFY(bench().head_column(bench().score_shown()));
    QCOMPARE(child<QComboBox>("grid_score")->currentData().toString(), bench().score_shown());
    const QPoint at = effect->canvas()->cell(2, 1).center().toPoint();
    QVERIFY2(effect->canvas()->describe(at).contains("layer 2, head 1"),
             qPrintable(effect->canvas()->describe(at)));
    QTest::mouseClick(effect->canvas(), Qt::LeftButton, {}, at);
    QCOMPARE(bench().selection().head, (HeadId{LayerIndex{2}, HeadIndex{1}}));
    settle();
    picture("result-colours-grid");
  }

  void a_row_of_its_table_selects_the_head_and_the_strongest_are_masked_by_one_key() {
    auto* heads = page<TablePage>("table: heads");
    QVERIFY(heads);
    auto* filter = in<QLineEdit>(heads, "result_filter");
    filter->setText("effekt > 1");
    QVERIFY(filter->toolTip().contains("there is no column"));
    filter->setText("|effect| > 0.05");
    const int shown = heads->table()->model()->rowCount();
    QVERIFY(shown > 0 && shown < 12);
    heads->table()->sortByColumn(3, Qt::AscendingOrder);
    heads->table()->selectRow(0);
    const QString first = heads->table()->model()->index(0, 0).data().toString();
    QCOMPARE(QString::fromStdString(to_string(bench().selection().head)), first);
    QVERIFY(heads->as_text().startsWith("head\tlayer\tindex\teffect"));
    picture("result-table");
    QTest::mouseClick(in<QToolButton>(heads, "select_shown"), Qt::LeftButton);
    QCOMPARE(static_cast<int>(bench().selection().heads.size()), shown);
    bench().zero_selected_heads();
    QCOMPARE(static_cast<int>(bench().edits().edits().size()), shown);
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    QVERIFY2(bench().comparison()->kl > 0.1, "the answer breaks");
    bench().undo();
    settle();
  }

  void a_refusal_stands_beside_the_form() {
    window_->raise_view(window_->methods_view());
    window_->methods_view()->choose("ablation-sweep");
    auto* prompts = in<QLineEdit>(window_->methods_view()->form(), "parameter-prompts");
    prompts->setText("/no/such/prompts.csv");
    const size_t before = bench().results().size();
    press("method_run");
    auto* problem = child<QLabel>("method_problem");
    QTRY_VERIFY_WITH_TIMEOUT(problem->isVisible(), 5000);
    QVERIFY2(problem->text().contains("/no/such/prompts.csv"), qPrintable(problem->text()));
    QCOMPARE(bench().results().size(), before);
    picture("method-refused");
    press("method_reset");
    QVERIFY(!problem->isVisible());
    QVERIFY(prompts->text() != "/no/such/prompts.csv");
  }

  void a_long_sweep_stops_at_once_and_lets_the_prompt_pass() {
    QWidget* form = window_->methods_view()->form();
    in<QSpinBox>(form, "parameter-count")->setValue(1000);
    press("method_run");
    const int number = newest().number;
    QTRY_VERIFY_WITH_TIMEOUT(
        !bench().engine().jobs().empty() && bench().engine().jobs().front().fraction > 0.0, 10000);
    bench().set_prompt("The cat slept behind the", true);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale() && bench().run_a()->capture->n_token() < 10, 10000);
    QVERIFY2(bench().result(number) && bench().result(number)->running, "the sweep goes on after the answer");
    QElapsedTimer clock;
    clock.start();
    press("method_stop");
    QTRY_VERIFY_WITH_TIMEOUT(nothing_runs(), 5000);
    qInfo("stopped after %lld ms", static_cast<long long>(clock.elapsed()));
    if (const KeptResult* kept = bench().result(number)) {
      QVERIFY(kept->partial());
      QVERIFY(child<QComboBox>("result_list")->currentText().contains("partial"));
    } else {
      QVERIFY(child<QLabel>("method_problem")->text().contains("Stopped"));
    }
    open_demo();
  }

  void heads_are_points_that_can_be_clicked() {
    window_->raise_view(window_->scatter_view());
    window_->scatter_view()->show_columns("induction", "entropy");
    ScatterCanvas* canvas = window_->scatter_view()->canvas();
    const HeadId head{LayerIndex{1}, HeadIndex{3}};
    const auto place = canvas->place_of(head);
    QVERIFY(place);
    QTest::mouseClick(canvas, Qt::LeftButton, {}, place->toPoint());
    QCOMPARE(bench().selection().head, head);
    QVERIFY2(child<QLabel>("scatter_correlation")->text().contains("12 heads"),
             qPrintable(child<QLabel>("scatter_correlation")->text()));
    QTest::mousePress(canvas, Qt::LeftButton, {}, QPoint(80, 20));
    QTest::mouseMove(canvas, QPoint(canvas->width() - 24, canvas->height() - 56));
    QMouseEvent move(QEvent::MouseMove, QPointF(canvas->width() - 24, canvas->height() - 56),
                     canvas->mapToGlobal(QPointF(canvas->width() - 24, canvas->height() - 56)),
                     Qt::LeftButton, Qt::LeftButton, Qt::NoModifier);
    QApplication::sendEvent(canvas, &move);
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, QPoint(canvas->width() - 24, canvas->height() - 56));
    QCOMPARE(bench().selection().heads.size(), size_t(12));
    bench().select_head(head);
    picture("scatter");
  }

  void a_circuit_is_drawn_clicked_and_kept() {
    window_->raise_view(window_->circuit_view());
    picture("circuit-empty");
    KeptResult kept;
    kept.method = "circuit";
    kept.title = "Which heads work together";
    kept.run = bench().run_a()->capture->provenance;
    kept.result = std::make_shared<const AnalysisResult>(small_circuit());
    bench().add_result(kept);
    CircuitCanvas* canvas = window_->circuit_view()->canvas();
    QCOMPARE(canvas->layout_shown().edges.size(), size_t(6));
    const QPointF at = canvas->place_of("1.2");
    QVERIFY(!at.isNull());
    QTest::mouseClick(canvas, Qt::LeftButton, {}, at.toPoint());
    QCOMPARE(bench().selection().head, (HeadId{LayerIndex{1}, HeadIndex{2}}));
    picture("circuit");
    child<QSlider>("circuit_threshold")->setValue(3);
    QVERIFY2(child<QLabel>("circuit_shown")->text().contains("3 of 6"),
             qPrintable(child<QLabel>("circuit_shown")->text()));
    press("circuit_keep");
    QStringList edits;
    for (const Edit& edit : bench().edits().edits()) edits << QString::fromStdString(to_text(edit));
    QCOMPARE(edits.join("; "), "zero 0.1-3; zero 1.0-1,3; zero 2.*");
    settle();
    bench().undo();
    settle();
    window_->tabs()->setCurrentIndex(0);
  }

  void the_finding_leads_to_its_result() {
    const int circuit = newest().number;
    window_->raise_view(window_->methods_view());
    window_->methods_view()->choose("sinks");
    press("method_run");
    QTRY_VERIFY_WITH_TIMEOUT(nothing_runs() && newest().method == "sinks", 10000);
    bench().show_result(circuit);
    auto* finding = child<QLabel>("finding");
    QVERIFY2(finding->text().contains("sink"), qPrintable(finding->text()));
    QTest::mouseClick(finding, Qt::LeftButton);
    QCOMPARE(bench().result_shown(), newest().number);
    QVERIFY(window_->results_view()->isVisible());
    QVERIFY(page<FieldPage>("column_mean"));
    settle();
    picture("result-slices");
    apply_theme(Theme::dark);
    settle();
    picture("results-dark");
    apply_theme(Theme::light);
  }

  void a_session_offers_its_analyses_to_be_run_again() {
    Session session = bench().session();
    QVERIFY(!session.analyses.empty());
    QCOMPARE(session.analyses.back().method, "sinks");
    while (!bench().results().empty()) bench().remove_result(newest().number);
    QVERIFY(!page<FieldPage>("column_mean"));
    session.analyses = {{"sinks", {{"threshold", 0.25}}, {}, {}}};
    const auto before = bench().model();
    bench().restore(*session_from_json(to_json(session)));
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before, 10000);
    settle();
    QCOMPARE(bench().results().size(), size_t(1));
    QVERIFY(!newest().result);
    QVERIFY(child<QLabel>("result_state")->text().contains("Run again"));
    press("result_again");
    QTRY_VERIFY_WITH_TIMEOUT(newest().result != nullptr, 10000);
    QCOMPARE(bench().results().size(), size_t(1));
    QCOMPARE(newest().parameters["threshold"], 0.25);
  }
};

QTEST_MAIN(MethodsWindowTest)
#include "methods_window_test.moc"
