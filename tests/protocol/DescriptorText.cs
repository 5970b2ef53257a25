using Google.Protobuf.Reflection;

namespace KvFs.Protocol.Tests;

/// <summary>What is on the wire, as text: one line for each field, each value of an enum, and each method.</summary>
internal static class DescriptorText
{
    public static IReadOnlyList<FileDescriptor> Files { get; } =
    [
        V1.StatusReflection.Descriptor,
        V1.DriveOperationsReflection.Descriptor,
        V1.DirectReflection.Descriptor,
        V1.DriveReflection.Descriptor,
        V1.BlockReflection.Descriptor,
        V1.AdminReflection.Descriptor,
        V1.ReplicationReflection.Descriptor,
        V1.PoolReflection.Descriptor,
    ];

    public static IReadOnlyList<string> Lines() => [.. Files.SelectMany(Lines).Order(StringComparer.Ordinal)];

    private static IEnumerable<string> Lines(FileDescriptor file) =>
        file.MessageTypes.SelectMany(Lines)
            .Concat(file.EnumTypes.SelectMany(Lines))
            .Concat(file.Services.SelectMany(service => service.Methods.Select(Line)));

    private static IEnumerable<string> Lines(MessageDescriptor message) =>
        message.Fields.InDeclarationOrder().Select(Line)
            .Append($"message {message.FullName}")
            .Concat(message.NestedTypes.SelectMany(Lines))
            .Concat(message.EnumTypes.SelectMany(Lines));

    private static IEnumerable<string> Lines(EnumDescriptor type) =>
        type.Values.Select(value => $"{type.FullName}.{value.Name} = {value.Number}");

    private static string Line(FieldDescriptor field)
    {
        string type = field.FieldType switch
        {
            FieldType.Message => field.MessageType.FullName,
            FieldType.Enum => field.EnumType.FullName,
            var plain => plain.ToString(),
        };
        string label = field.IsRepeated ? "repeated " : field.HasPresence && field.FieldType != FieldType.Message ? "optional " : "";
        string choice = field.RealContainingOneof is { } oneof ? $" of {oneof.Name}" : "";
        return $"{field.ContainingType.FullName}.{field.Name} = {field.FieldNumber}: {label}{type}{choice}";
    }

    private static string Line(MethodDescriptor method)
    {
        string request = (method.IsClientStreaming ? "stream " : "") + method.InputType.FullName;
        string response = (method.IsServerStreaming ? "stream " : "") + method.OutputType.FullName;
        return $"rpc {method.FullName}({request}) returns ({response})";
    }
}
