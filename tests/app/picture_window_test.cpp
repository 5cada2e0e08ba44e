// Drives the window through pictures: gives one to a model, looks at where heads, words and patches look,
// changes a head and compares, plays and saves scanpaths. Pictures of the window are kept for people to look
// at.
#include <QClipboard>
#include <QComboBox>
#include <QDir>
#include <QFile>
#include <QLabel>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QSlider>
#include <QSpinBox>
#include <QStandardPaths>
#include <QTabWidget>
#include <QTemporaryDir>
#include <QToolButton>
#include <QtTest>

#include "app/shell/error_bar.h"
#include "app/shell/main_window.h"
#include "app/shell/theme.h"
#include "app/views/head_grid/head_grid_view.h"
#include "app/views/picture/picture_view.h"
#include "app/views/results/field_page.h"
#include "app/views/results/results_view.h"

using namespace saccade;

class PictureWindowTest : public QObject {
  Q_OBJECT

  std::unique_ptr<MainWindow> window_;
  QTemporaryDir folder_;
  Workbench& bench() { return window_->workbench(); }
  PictureView* view() { return window_->picture_view(); }
  PictureCanvas* canvas() { return view()->canvas(); }
  template <class Widget>
  Widget* child(const QString& name) {
    return window_->findChild<Widget*>(name);
  }
  static QString data(const char* path) { return QDir(SACCADE_TEST_FILES).filePath(path); }
  void settle() { QTRY_VERIFY_WITH_TIMEOUT(window_->settled(), 30000); }
  void picture(const char* name) {
    QTest::qWait(60);
    QDir().mkpath(SACCADE_SCREENSHOTS);
    QVERIFY(window_->picture().save(QDir(SACCADE_SCREENSHOTS).filePath(QString(name) + ".png")));
  }
  void open(const char* model) {
    const auto before = bench().model();
    bench().open_model(data("vision_goldens/") + model);
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() && bench().model() != before, 20000);
  }
  // A llava's golden has no tokenizer: its prompt is given as ids, as a session does.
  void open_llava(std::vector<int32_t> ids, std::vector<std::string> images) {
    Session session;
    session.model = data("vision_goldens/llava").toStdString();
    session.ids = std::move(ids);
    session.images = std::move(images);
    session.sampling.max_tokens = 6;
    session.sampling.stop_at_eos = false;
    const auto before = bench().model();
    bench().restore(session);
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() && bench().model() != before, 20000);
  }
  std::vector<float> row_of(const std::shared_ptr<const Capture>& capture, HeadId head, int64_t query) {
    const auto map = AttentionMap::of(capture, head, bench().kernels());
    std::vector<float> row(static_cast<size_t>(capture->n_token()));
    if (!map.ok() || !map->rows(query, query + 1, capture->n_token(), row).ok()) row.clear();
    return row;
  }
  // The cells of the overlay are those of the capture's row.
  void compare_cells(const std::shared_ptr<const Capture>& capture, HeadId head, int64_t query) {
    const PictureScene& scene = canvas()->scene();
    const std::vector<float> row = row_of(capture, head, query);
    const ImageRegion& region = scene.map.region;
    QCOMPARE(scene.map.values.size(), static_cast<size_t>(region.grid_height * region.grid_width));
    QVERIFY(row.size() >= static_cast<size_t>(region.end()));
    for (size_t i = 0; i < scene.map.values.size(); ++i)
      QVERIFY2(std::abs(scene.map.values[i] - row[static_cast<size_t>(region.first_patch()) + i]) < 1e-6f,
               qPrintable(QString::number(i)));
  }
  void click_patch(int64_t patch) {
    QTest::mouseClick(canvas(), Qt::LeftButton, {}, canvas()->rectangle_of(patch).center().toPoint());
  }
  void hover_patch(int64_t patch) {
    const QPointF at = canvas()->rectangle_of(patch).center();
    QMouseEvent move(QEvent::MouseMove, at, canvas()->mapToGlobal(at), Qt::NoButton, Qt::NoButton,
                     Qt::NoModifier);
    QCoreApplication::sendEvent(canvas(), &move);
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setOrganizationName("saccade-test");
    QCoreApplication::setApplicationName("saccade-picture-test");
    QStandardPaths::setTestModeEnabled(true);
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

  void a_model_of_text_has_no_picture_tab_and_says_why_it_takes_no_picture() {
    window_->open_demo();
    QTRY_VERIFY_WITH_TIMEOUT(bench().model(), 10000);
    settle();
    QCOMPARE(window_->tabs()->indexOf(view()), -1);
    QVERIFY(!child<QWidget>("picture_row")->isVisible());
    const auto run = bench().run_a();
    bench().open_anything(data("pictures/colours.png"));
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    QVERIFY2(window_->error_bar()->message().contains("reads text only"),
             qPrintable(window_->error_bar()->message()));
    QVERIFY(bench().pictures().empty());
    QCOMPARE(bench().run_a(), run);
    QCOMPARE(window_->tabs()->indexOf(view()), -1);
  }

  void a_model_of_pictures_asks_for_one_and_takes_what_is_dropped() {
    open("vit");
    QCOMPARE(window_->tabs()->currentWidget(), view());
    QVERIFY(child<QLabel>("picture_empty")->isVisible());
    QVERIFY(child<QLabel>("picture_empty")->text().contains("reads a picture"));
    QVERIFY(!child<QPlainTextEdit>("prompt")->isEnabled());
    QVERIFY(!bench().run_a());
    settle();
    picture("picture-empty");
    QMimeData dropped;
    dropped.setUrls({QUrl::fromLocalFile(data("pictures/colours.jpg"))});
    QDragEnterEvent enter(QPoint(300, 300), Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(window_.get(), &enter);
    QDropEvent drop(QPointF(300, 300), Qt::CopyAction, &dropped, Qt::LeftButton, Qt::NoModifier);
    QCoreApplication::sendEvent(window_.get(), &drop);
    QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 10000);
    settle();
    QCOMPARE(bench().pictures().size(), size_t(1));
    QVERIFY(child<QWidget>("picture_card-0")->isVisible());
    QVERIFY(!canvas()->scene().map.empty());
    picture("picture-vit");
  }

  void the_overlay_is_the_row_of_cls_and_follows_head_and_hover() {
    const HeadId head{LayerIndex{1}, HeadIndex{2}};
    bench().select_head(head);
    QCOMPARE(canvas()->scene().from.query, int64_t(0));
    QVERIFY2(canvas()->scene().title.contains("1.2") && canvas()->scene().title.contains("CLS"),
             qPrintable(canvas()->scene().title));
    compare_cells(bench().run_a()->capture, head, 0);
    hover_patch(5);
    const ImageRegion& region = canvas()->scene().map.region;
    const float value = canvas()->scene().map.values[5];
    const QString said = child<QLabel>("picture_hover")->text();
    QVERIFY2(
        said.contains(QString("row %1, column %2").arg(5 / region.grid_width).arg(5 % region.grid_width)) &&
            said.contains(QString::number(value, 'g', 6)) && said.contains("% of the mass"),
        qPrintable(said));
    bench().select_heads({head, {LayerIndex{0}, HeadIndex{1}}});
    const auto a = row_of(bench().run_a()->capture, head, 0),
               b = row_of(bench().run_a()->capture, {LayerIndex{0}, HeadIndex{1}}, 0);
    for (size_t i = 0; i < canvas()->scene().map.values.size(); ++i) {
      const size_t at = static_cast<size_t>(region.first_patch()) + i;
      QVERIFY(std::abs(canvas()->scene().map.values[i] - (a[at] + b[at]) / 2) < 1e-6f);
    }
    bench().select_head(head);
  }

  void clicking_a_patch_makes_it_the_query_and_the_pointer_can_be_it() {
    const HeadId head = bench().selection().head;
    const int64_t first = canvas()->scene().map.region.first_patch();
    click_patch(7);
    QCOMPARE(bench().selection().query, static_cast<int>(first + 7));
    QCOMPARE(canvas()->scene().query_patch, int64_t(7));
    compare_cells(bench().run_a()->capture, head, first + 7);
    click_patch(7);
    QCOMPARE(bench().selection().query, -1);
    auto* from = child<QComboBox>("picture_from");
    from->setCurrentIndex(2);
    Q_EMIT from->activated(2);
    hover_patch(3);
    QCOMPARE(canvas()->scene().query_patch, int64_t(3));
    compare_cells(bench().run_a()->capture, head, first + 3);
    from->setCurrentIndex(0);
    Q_EMIT from->activated(0);
  }

  void every_patch_is_drawn_exactly_where_it_is() {
    auto* alpha = child<QSlider>("picture_alpha");
    alpha->setValue(100);
    hover_patch(0);
    QTest::mouseMove(canvas(), QPoint(1, 1));
    QEvent leave(QEvent::Leave);
    QCoreApplication::sendEvent(canvas(), &leave);
    const QImage shot = canvas()->grab().toImage();
    const PictureScene& scene = canvas()->scene();
    for (int64_t patch = 0; patch < static_cast<int64_t>(scene.map.values.size()); ++patch) {
      const Rgb expected = scene.scale.colour(scene.map.values[static_cast<size_t>(patch)]);
      // Just inside its corners: no colour of a neighbour.
      const QRectF inside = canvas()->rectangle_of(patch).adjusted(2, 2, -2, -2);
      for (const QPointF at :
           {inside.topLeft(), inside.topRight(), inside.bottomLeft(), inside.bottomRight()}) {
        const QColor seen = shot.pixelColor((at * shot.devicePixelRatio()).toPoint());
        QVERIFY2(std::abs(seen.red() - expected.r) <= 2 && std::abs(seen.green() - expected.g) <= 2 &&
                     std::abs(seen.blue() - expected.b) <= 2,
                 qPrintable(QString("patch %1: %2").arg(patch).arg(seen.name())));
      }
    }
    alpha->setValue(60);
    child<QCheckBox>("picture_smooth")->setChecked(true);
    picture("picture-smooth");
    child<QCheckBox>("picture_smooth")->setChecked(false);
    auto* range = child<QComboBox>("picture_range");
    range->setCurrentIndex(1);
    Q_EMIT range->activated(1);
    child<QDoubleSpinBox>("picture_high")->setValue(0.5);
    QCOMPARE(canvas()->scene().scale.high, 0.5);
    range->setCurrentIndex(0);
    Q_EMIT range->activated(0);
    QCOMPARE(canvas()->scene().scale.high, double(canvas()->scene().map.largest()));
  }

  void the_gallery_shows_every_head_over_the_picture_and_a_click_selects() {
    bench().set_score(HeadGallery::key);
    settle();
    const HeadGallery& gallery = window_->grid_view()->canvas()->gallery();
    QVERIFY(gallery.shown());
    double largest = 0.0;
    const auto capture = bench().run_a()->capture;
    for (int l = 0; l < capture->spec.n_layer; ++l)
      for (int h = 0; h < capture->spec.n_head; ++h) {
        const HeadId head{LayerIndex{l}, HeadIndex{h}};
        const auto* values = gallery.values(head);
        QVERIFY(values);
        const auto row = row_of(capture, head, 0);
        for (size_t i = 0; i < values->size(); ++i) {
          QVERIFY(std::abs((*values)[i] - row[static_cast<size_t>(capture->images[0].first_patch()) + i]) <
                  1e-6f);
          largest = std::max<double>(largest, (*values)[i]);
        }
      }
    QVERIFY2(std::abs(gallery.scale().high - largest) < 1e-7, "one scale for all");
    const QRect cell = window_->grid_view()->rectangle_of({LayerIndex{0}, HeadIndex{3}});
    QWidget* at = window_->grid_view()->childAt(cell.center());
    QTest::mouseClick(at, Qt::LeftButton, {}, at->mapFrom(window_->grid_view(), cell.center()));
    QCOMPARE(bench().selection().head, (HeadId{LayerIndex{0}, HeadIndex{3}}));
    QVERIFY(canvas()->scene().title.contains("0.3"));
    picture("picture-gallery");
    bench().set_score({});
  }

  void a_damaged_picture_is_refused_and_loses_nothing() {
    const QString path = folder_.filePath("broken.png");
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly) && file.write("\x89PNG\r\n\x1a\n and then nothing") > 0);
    file.close();
    const auto run = bench().run_a();
    bench().add_pictures({path});
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    QVERIFY2(window_->error_bar()->message().contains("broken.png"),
             qPrintable(window_->error_bar()->message()));
    QCOMPARE(bench().run_a(), run);
    QCOMPARE(bench().pictures().front().pixels->name, std::string("colours.jpg"));
    picture("picture-refused");
    window_->error_bar()->hide();
  }

  void a_pasted_picture_takes_its_place_and_taking_it_away_asks_again() {
    QImage pasted(90, 60, QImage::Format_RGB32);
    pasted.fill(QColor(200, 60, 30));
    QApplication::clipboard()->setImage(pasted);
    canvas()->setFocus();
    QTest::keyClick(canvas(), Qt::Key_V, Qt::ControlModifier);
    QTRY_VERIFY_WITH_TIMEOUT(bench().pictures().front().pixels->name.starts_with("pasted-"), 5000);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale(), 10000);
    QCOMPARE(bench().pictures().size(), size_t(1));
    QVERIFY2(QFile::exists(bench().pictures().front().path), "a session can name it");
    settle();
    QTest::mouseClick(child<QToolButton>("picture_remove-0"), Qt::LeftButton);
    QVERIFY(bench().pictures().empty());
    QVERIFY(!bench().run_a());
    QVERIFY(child<QLabel>("picture_empty")->isVisible());
  }

  void a_prompt_with_a_place_and_no_picture_says_so_and_runs_once_it_has_one() {
    open_llava({1, 5, 92, 7, 9, 11}, {});
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    QVERIFY2(window_->error_bar()->message().contains("1 place for pictures"),
             qPrintable(window_->error_bar()->message()));
    QVERIFY(child<QLabel>("picture_empty")->text().contains("reads text and pictures"));
    bench().add_pictures({data("pictures/colours.png")});
    QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 10000);
    settle();
    QCOMPARE(bench().run_a()->capture->images.size(), size_t(1));
    const auto run = bench().run_a();
    bench().add_pictures({data("pictures/palette.png")});
    QTRY_COMPARE_WITH_TIMEOUT(bench().pictures().size(), size_t(2), 5000);
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible() && !bench().answer_is_stale(), 5000);
    QVERIFY2(window_->error_bar()->message().contains("2 are given"),
             qPrintable(window_->error_bar()->message()));
    QCOMPARE(bench().run_a(), run);
    QVERIFY2(!canvas()->scene().map.empty(), "what was there is still shown");
    picture("picture-too-many");
    QTest::mouseClick(child<QToolButton>("picture_remove-1"), Qt::LeftButton);
    QTRY_VERIFY_WITH_TIMEOUT(!bench().answer_is_stale(), 5000);
    window_->error_bar()->hide();
    settle();
  }

  void every_generated_word_shows_where_it_looked() {
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(!bench().text_a().running && bench().text_a().run, 20000);
    settle();
    WordStrip* words = view()->words();
    QVERIFY(words->isVisible());
    QCOMPARE(words->words(), static_cast<int>(bench().text_a().tokens.size()));
    const HeadId head{LayerIndex{1}, HeadIndex{1}};
    bench().select_head(head);
    const int64_t prompt = bench().run_a()->capture->n_token();
    QTest::mouseClick(words, Qt::LeftButton, {}, words->cell(2).center());
    QCOMPARE(bench().selection().word, 2);
    const auto capture = bench().text_a().run->capture;
    QCOMPARE(canvas()->scene().from.query, prompt - 1 + 2);
    compare_cells(capture, head, prompt - 1 + 2);
    QCOMPARE(words->map(2).values, canvas()->scene().map.values);
    // The first word was read from the prompt's last row, with or without the words behind it.
    bench().select_word(0);
    compare_cells(bench().run_a()->capture, head, prompt - 1);
    bench().select_word(2);
    bench().back();
    QCOMPARE(bench().selection().word, 0);
    bench().forward();
    QCOMPARE(bench().selection().word, 2);
  }

  void an_edit_changes_the_answer_and_the_picture_shows_the_change() {
    bench().select_head({LayerIndex{0}, HeadIndex{1}});
    bench().set_edits({*parse_edit("uniform 0.1"), *parse_edit("scale 1.* by=3")});
    QTRY_VERIFY_WITH_TIMEOUT(bench().edited() && !bench().answer_is_stale(), 10000);
    QVERIFY(bench().comparison()->kl > 0.0);
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(!bench().text_b().running && bench().text_b().run, 20000);
    settle();
    bench().show_run(Shown::difference);
    bench().select_word(0);
    QVERIFY(canvas()->scene().difference);
    const int64_t query = canvas()->scene().from.query;
    const auto a = row_of(bench().text_a().run->capture, {LayerIndex{0}, HeadIndex{1}}, query),
               b = row_of(bench().text_b().run->capture, {LayerIndex{0}, HeadIndex{1}}, query);
    const ImageRegion& region = canvas()->scene().map.region;
    double change = 0.0;
    for (size_t i = 0; i < canvas()->scene().map.values.size(); ++i) {
      const size_t at = static_cast<size_t>(region.first_patch()) + i;
      QVERIFY(std::abs(canvas()->scene().map.values[i] - (b[at] - a[at])) < 1e-6f);
      change += std::abs(b[at] - a[at]);
    }
    QVERIFY(change > 0.0);
    QCOMPARE(canvas()->scene().scale.low, -canvas()->scene().scale.high);
    // Behind words that differ there is nothing to compare, and it says so.
    const auto &words_a = bench().text_a().tokens, &words_b = bench().text_b().tokens;
    int differs = 0;
    while (words_a[static_cast<size_t>(differs)].id == words_b[static_cast<size_t>(differs)].id) ++differs;
    QVERIFY(differs + 1 < static_cast<int>(words_b.size()));
    QVERIFY(!view()->words()->map(differs).empty());
    QVERIFY(view()->words()->map(differs + 1).empty());
    bench().select_word(differs + 1);
    QVERIFY(canvas()->scene().map.empty() && canvas()->scene().note.contains("other words"));
    bench().select_word(0);
    picture("picture-difference");
    bench().show_run(Shown::edited);
    settle();
  }

  void scanpaths_of_words_layers_and_people_are_played() {
    bench().show_run(Shown::baseline);
    auto* model = child<QComboBox>("scanpath_model");
    ScanpathPlayer& player = view()->scanpaths()->player();
    for (const int kind : {3, 2, 1}) {
      model->setCurrentIndex(kind);
      Q_EMIT model->activated(kind);
      QVERIFY2(player.paths().size() == 1, qPrintable(child<QLabel>("scanpath_note")->text()));
      for (const Fixation& fixation : player.paths()[0].path.fixations)
        QVERIFY(player.paths()[0].path.size.holds(fixation.x, fixation.y));
    }
    QCOMPARE(player.paths()[0].path.fixations.size(), bench().text_a().tokens.size());
    QCOMPARE(player.time(), player.duration());
    QTest::mouseClick(child<QToolButton>("scanpath_play"), Qt::LeftButton);
    QVERIFY(player.playing());
    QTRY_VERIFY_WITH_TIMEOUT(player.time() > 0.0, 2000);
    QVERIFY(player.time() < player.duration());
    QTest::mouseClick(child<QToolButton>("scanpath_play"), Qt::LeftButton);
    QVERIFY(!player.playing());
    child<QSlider>("scanpath_time")->setValue(300);
    QCOMPARE(player.time(), 300.0);
    QCOMPARE(player.paths()[0].begun(player.time()), size_t(2));
    const auto pixels = bench().run_pictures()[0].pixels;
    QFile gaze(folder_.filePath("gaze.csv"));
    QVERIFY(gaze.open(QIODevice::WriteOnly));
    gaze.write("subject,image,x,y,duration\n");
    for (int i = 0; i < 4; ++i)
      gaze.write(QString("anna,colours.png,%1,%2,%3\n")
                     .arg(pixels->width * (0.2 + 0.2 * i))
                     .arg(pixels->height * (0.7 - 0.15 * i))
                     .arg(180 + 60 * i)
                     .toUtf8());
    gaze.close();
    view()->scanpaths()->load_people(gaze.fileName());
    QVERIFY2(player.paths().size() == 2, qPrintable(child<QLabel>("scanpath_note")->text()));
    QCOMPARE(player.paths()[1].label, std::string("anna"));
    view()->scanpaths()->load_people("/no/such/gaze.csv");
    QVERIFY(child<QLabel>("scanpath_note")->isVisible());
    QCOMPARE(player.paths().size(), size_t(2));
  }

  void scanpaths_and_figures_become_files() {
    for (const char* name : {"path.gif", "path.mp4", "path.svg", "path.csv"}) {
      view()->scanpaths()->write(folder_.filePath(name));
      settle();
      QVERIFY2(QFileInfo(folder_.filePath(name)).size() > 200 || window_->error_bar()->isVisible(), name);
    }
    for (const char* name : {"over.png", "over.svg", "over.pdf"}) {
      view()->export_figure(folder_.filePath(name));
      settle();
      QVERIFY2(QFileInfo(folder_.filePath(name)).size() > 1000, name);
    }
    view()->export_figure("/nowhere/at/all.png");
    QTRY_VERIFY_WITH_TIMEOUT(window_->error_bar()->isVisible(), 5000);
    window_->error_bar()->hide();
  }

  void a_result_over_patches_is_shown_over_the_picture() {
    const ImageRegion& region = bench().run_a()->capture->images[0];
    AnalysisResult made;
    made.method = "rollout";
    Field field;
    field.name = "relevance";
    field.label = "Relevance";
    field.axes = {{AxisKind::step, "step", {}},
                  {AxisKind::other, "patch row", {}},
                  {AxisKind::other, "patch column", {}}};
    field.values = HostTensor({2, region.grid_height, region.grid_width});
    for (int64_t i = 0; i < field.values.size(); ++i)
      field.values.mutable_values()[static_cast<size_t>(i)] = static_cast<float>(i);
    made.fields = {field};
    KeptResult kept;
    kept.method = "rollout";
    kept.title = "Attention rollout";
    kept.run = bench().run_a()->capture->provenance;
    kept.result = std::make_shared<const AnalysisResult>(made);
    const int number = bench().add_result(kept);
    window_->raise_view(window_->results_view());
    auto* over = window_->results_view()->findChild<QToolButton*>("over_picture");
    QVERIFY(over);
    window_->tabs()->setCurrentIndex(1);
    QTest::mouseClick(over, Qt::LeftButton);
    QCOMPARE(window_->tabs()->currentWidget(), view());
    QCOMPARE(bench().picture_look().result, number);
    QCOMPARE(canvas()->scene().map.values[1], 1.0f);
    PictureLook look = bench().picture_look();
    look.held = {1};
    bench().set_picture_look(look);
    QCOMPARE(canvas()->scene().map.values[0], static_cast<float>(region.grid_height * region.grid_width));
    picture("picture-field");
    look.source = PictureSource::head;
    bench().set_picture_look(look);
    bench().remove_result(number);
  }

  void the_session_comes_back_with_its_picture() {
    const Session session = bench().session();
    QCOMPARE(session.images.size(), size_t(1));
    const std::string file = folder_.filePath("session.json").toStdString();
    QVERIFY(save_session(session, file).ok());
    const auto logits = bench().run_b()->capture->last_logits;
    bench().set_edits({});
    bench().remove_picture(0);
    const auto before = bench().model();
    bench().open_anything(QString::fromStdString(file));
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before && bench().edited() && !bench().answer_is_stale(),
                             20000);
    QCOMPARE(bench().pictures().size(), size_t(1));
    const auto again = bench().run_b()->capture->last_logits;
    QVERIFY(std::equal(logits.values().begin(), logits.values().end(), again.values().begin()));
    settle();
  }

  // What a person sees at the end: picture, overlay, answer, edits, a path in motion.
  void everything_together() {
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(!bench().text_b().running && bench().text_b().run, 20000);
    bench().show_run(Shown::edited);
    bench().select_head({LayerIndex{1}, HeadIndex{0}});
    bench().select_word(3);
    auto* model = child<QComboBox>("scanpath_model");
    model->setCurrentIndex(1);
    Q_EMIT model->activated(1);
    view()->scanpaths()->player().set_time(900);
    settle();
    picture("picture-together");
    apply_theme(Theme::dark);
    settle();
    picture("picture-dark");
    apply_theme(Theme::light);
  }

  // A finer grid over a larger picture, for the eye alone: alignment, contrast, the words' row.
  void a_larger_picture_is_still_sharp() {
    const QString photograph = qEnvironmentVariable("SACCADE_PHOTOGRAPH");
    if (photograph.isEmpty()) QSKIP("SACCADE_PHOTOGRAPH names no picture to look at");
    open("dinov2_registers");
    bench().add_pictures({photograph});
    QTRY_VERIFY_WITH_TIMEOUT(!bench().pictures().empty() && bench().pictures()[0].path == photograph, 5000);
    QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 10000);
    bench().set_score(HeadGallery::key);
    child<QComboBox>("scanpath_model")->setCurrentIndex(3);
    Q_EMIT child<QComboBox>("scanpath_model")->activated(3);
    settle();
    picture("picture-photograph");
    bench().set_score({});
  }

  void the_demo_that_talks_comes_with_its_samples() {
    const auto before = bench().model();
    window_->open_demo("shapes-vlm");
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before, 10000);
    QTRY_VERIFY_WITH_TIMEOUT(bench().run_a() && !bench().answer_is_stale(), 10000);
    QCOMPARE(bench().run_a()->capture->images.size(), size_t(1));
    QVERIFY(bench().prompt().startsWith("<image>"));
    settle();
    bench().select_head({LayerIndex{1}, HeadIndex{4}});
    bench().generate();
    QTRY_VERIFY_WITH_TIMEOUT(!bench().text_a().running && bench().text_a().run, 10000);
    QVERIFY2(bench().text_a().text.contains("blue star"), "it invents one");
    settle();
    bench().select_word(3);
    settle();
    picture("picture-demo");
    auto* samples = child<QComboBox>("samples");
    QVERIFY2(samples->count() > 2, "the demo's own");
    const QString asked = bench().prompt();
    samples->setCurrentIndex(2);
    Q_EMIT samples->activated(2);
    QTRY_VERIFY_WITH_TIMEOUT(bench().prompt() != asked && bench().run_a() && !bench().answer_is_stale(),
                             10000);
    QCOMPARE(bench().run_a()->capture->images.size(), size_t(1));
    settle();
  }

  void a_model_of_text_takes_the_tab_away_again() {
    const auto before = bench().model();
    window_->open_demo();
    QTRY_VERIFY_WITH_TIMEOUT(bench().model() != before, 10000);
    settle();
    QCOMPARE(window_->tabs()->indexOf(view()), -1);
    QVERIFY(bench().pictures().empty());
    QVERIFY(!child<QWidget>("picture_row")->isVisible());
    QVERIFY(child<QPlainTextEdit>("prompt")->isEnabled());
  }
};

QTEST_MAIN(PictureWindowTest)
#include "picture_window_test.moc"
