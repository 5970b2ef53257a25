using System.Text.Json;
using KvFs.Cli.CommandLine;
using KvFs.Cli.Control;

namespace KvFs.Cli.Tests.Control;

public sealed class ControlJsonTests
{
    [Fact]
    public void Names_are_camel_case_and_codes_are_words()
    {
        ErrorReport error = new(new ControlError(ExitCode.NotFound, "There is no drive 'a'.", null));
        Assert.Equal(
            """{"error":{"code":"notFound","message":"There is no drive \u0027a\u0027.","hint":null}}""",
            JsonSerializer.Serialize(error, ControlJson.Default.ErrorReport));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"name":null}""")]
    [InlineData("""{"name":"a","quotaBytes":-1}""")]
    [InlineData("""{"name":"a","quotaBytes":"1"}""")]
    [InlineData("""{"name":"a","color":"red"}""")]
    [InlineData("""{"name":["a"]}""")]
    [InlineData("""[[[[[[[[[["a"]]]]]]]]]]""")]
    public void A_request_that_is_not_as_it_must_be_is_refused(string json) =>
        Assert.ThrowsAny<JsonException>(() => JsonSerializer.Deserialize(json, ControlJson.Default.NewDriveRequest));

    [Fact]
    public void What_a_request_leaves_out_has_its_usual_value()
    {
        NewDriveRequest? request = JsonSerializer.Deserialize("""{"name":"a"}""", ControlJson.Default.NewDriveRequest);
        Assert.Equal(new NewDriveRequest("a"), request);
    }
}
